"""The tables, the types of their columns and the revisions that lead to them."""
