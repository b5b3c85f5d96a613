"""What everybody is told the same: built once a change of what it tells."""
