"""The ledger, what is proved and reported of it, the running counters and payouts."""
