"""Jobs from their submission to their settlement: every transition with its money, event and counters."""
