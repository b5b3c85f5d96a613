"""What operators set and look at: prices, images, the audit trail and the numbers of the day."""
