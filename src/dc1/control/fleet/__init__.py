"""Every provider in memory: its report, its presence, and who has room for work."""
