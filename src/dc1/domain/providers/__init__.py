"""Machines and their owners: what they report, whether they are there, how far they are believed."""
