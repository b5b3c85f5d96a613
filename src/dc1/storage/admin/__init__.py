"""Operators, prices, images, the audit trail and the numbers of the day, which admins set and look at."""
