"""`dc1 renter …`: what renters call, a job followed to its end among it."""
