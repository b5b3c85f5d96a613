"""`dc1 demo`: the whole marketplace on one machine, once through."""
