"""Which servicers there are, a module for each side of the market.

A new servicer is one more `Service` in its module.
"""
