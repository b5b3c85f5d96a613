"""The jobs the daemon holds: offers judged, work run, and what the server has not been told of it yet."""
