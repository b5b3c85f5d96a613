"""Time, numbers, JSON and versions, on which every rule rests."""
