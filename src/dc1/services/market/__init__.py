"""MarketService: what anybody may know of the market, and its prices."""
