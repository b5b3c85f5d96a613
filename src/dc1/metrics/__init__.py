"""What processes count and measure for Prometheus, and the address where it is read."""
