"""`dc1 db …`: the marketplace's database as a whole."""
