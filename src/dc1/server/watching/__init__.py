"""What operators see of calls: the audit trail, counts of refusals and log lines."""
