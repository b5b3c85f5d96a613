"""Measures the limits of one server behind Envoy, on the machine that it runs on: `python -m bench --help`."""
