"""One thin servicer a proto service: decode, call the layer below, encode."""
