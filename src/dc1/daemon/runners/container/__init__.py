"""Container jobs: an approved image, locked in, on any engine with the Docker API."""
