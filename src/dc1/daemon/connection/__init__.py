"""The connection to the control plane: streams, one after the other, and what is said on them."""
