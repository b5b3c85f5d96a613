"""RenterService: renters, their keys, wallets and webhooks."""
