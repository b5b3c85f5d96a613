"""Prices, images, the audit trail and the numbers of the day, which operators set and look at."""
