"""What operators look at: the dashboard, and the streams of the console."""
