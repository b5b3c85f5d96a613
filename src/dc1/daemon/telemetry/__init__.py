"""The machine as every beat reports it: operating system, memory and GPUs."""
