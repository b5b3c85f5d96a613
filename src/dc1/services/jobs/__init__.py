"""JobService: renters' jobs, their output, their logs and their lifecycle."""
