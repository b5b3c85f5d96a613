"""Where the CPU of a call goes, phase by phase: `make bench ARGS=--profile`."""
