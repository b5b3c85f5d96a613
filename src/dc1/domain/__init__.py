"""Rules of the market without any I/O: money, job states, placement, liveness, keys and the error catalogue."""
