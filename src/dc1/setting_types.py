"""The types of settings, as people write them in environment variables."""

from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
Seconds: TypeAlias = Annotated[float, Field(ge=0)]
Limit: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""How many there may be; any number when 0."""

TokenPrice: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
Multiplier: TypeAlias = Annotated[Decimal, Field(gt=0, le=100)]
# Not decoded: pydantic would want JSON in the variable, and people write lists with commas.
Texts: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks: TypeAlias = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)]
