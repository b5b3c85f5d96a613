"""What every rule rests on: time, numbers, JSON and versions."""
