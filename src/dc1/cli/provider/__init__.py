"""`dc1 provider …`: what owners of GPUs call."""
