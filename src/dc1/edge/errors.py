"""The error of an edge that cannot serve."""


class EdgeError(Exception):
    """The edge cannot serve; the text says why, in a sentence for a person."""
