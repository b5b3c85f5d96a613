"""Jobs: their states, what a submission may ask for, where it may run and what comes of it."""
