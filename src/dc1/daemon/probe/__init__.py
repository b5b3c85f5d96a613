"""The machine's side of probes: a child process that computes, and what the server and it say to each other."""
