"""What changed lately, for everybody who watches many things at once."""
