"""The queue, the leases and the streams: which job goes to which provider, and who hears of it."""
