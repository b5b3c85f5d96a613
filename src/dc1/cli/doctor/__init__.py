"""`dc1 doctor`: what is wrong between this machine and a marketplace, one thing after the other."""
