"""The types of settings, as people write them in environment variables."""

import json
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from dc1.mail_server import MailServer, is_mail_address

_Name = TypeVar("_Name")
_Number = TypeVar("_Number")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _parse(value: object) -> object:
    if isinstance(value, str):
        try:
            # As a float, 0.9 would be a little less, and a price that ends in a half be rounded the other way.
            return json.loads(value, parse_float=Decimal)
        except ValueError:
            raise ValueError("must be a JSON object") from None
    return value


def _leading_to_mail(url: SecretStr) -> SecretStr:
    MailServer.of(url.get_secret_value(), "")
    return url


def _one_mailbox(address: str) -> str:
    if not is_mail_address(address):
        raise ValueError("must be an address like market@example.sa")
    return address


Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
Seconds: TypeAlias = Annotated[float, Field(ge=0)]
Limit: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""How many there may be; any number when 0."""

TokenPrice: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
Multiplier: TypeAlias = Annotated[Decimal, Field(gt=0, le=100)]
# Not decoded: pydantic would want JSON in the variable, and people write lists with commas.
Texts: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks: TypeAlias = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)]
JsonTable: TypeAlias = Annotated[dict[_Name, _Number], NoDecode, BeforeValidator(_parse)]
MailUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_leading_to_mail)]
MailAddress: TypeAlias = Annotated[str, AfterValidator(_one_mailbox)]
