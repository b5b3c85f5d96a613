"""What daemons that only speak HTTP are given to run: each order as a task that such a daemon can carry out."""
