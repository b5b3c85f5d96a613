"""What every servicer shares: the call, paging, JSON values, events and idempotency."""
