"""The probe: work that a machine can only have done, committed to before it knows what of it is looked at."""
