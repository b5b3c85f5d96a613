"""Cards by what their machine reports: their health, their clocks, and what a run had of them."""
