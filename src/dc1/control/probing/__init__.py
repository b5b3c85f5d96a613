"""Probes: which machine is measured when, and the conversation in which it is."""
