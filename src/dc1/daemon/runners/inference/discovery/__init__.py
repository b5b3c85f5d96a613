"""What an engine says of itself when it is looked at: how much it takes at once, and what its models can do."""
