"""`python -m dc1.cli` is `dc1`."""

from dc1.cli.app import main

main()
