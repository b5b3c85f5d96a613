"""ProviderService: owners, their machines and what they earned."""
