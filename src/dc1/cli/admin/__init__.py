"""`dc1 admin …`: what operators look at and decide."""
