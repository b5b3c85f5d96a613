"""What a deployment chose: how it is served, the market's rules, the times of its fleet."""
