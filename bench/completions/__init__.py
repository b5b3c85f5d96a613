"""Calls under /v1 beside the same calls to the engine itself and to another gateway."""
