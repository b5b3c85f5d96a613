"""The parties of the market."""

from enum import StrEnum


class Role(StrEnum):
    """In what right a call is made."""

    PUBLIC = "public"
    RENTER = "renter"
    PROVIDER = "provider"
    ADMIN = "admin"
