"""`dc1 up`, `serve` and `edge`: the marketplace itself, run until it is stopped."""
