"""The `dc1` command: a stack to run, a daemon to connect, and every role's calls from the terminal."""
