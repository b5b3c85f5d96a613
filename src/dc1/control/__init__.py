"""What is alive: the fleet, its streams, the queue, and the timers that move jobs."""
