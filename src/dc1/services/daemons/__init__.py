"""The daemon's stream, and DaemonService for daemons that speak HTTP only."""
