"""What a provider's owner and somebody else have in common, which may be one person who pays with starter credit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.base.addresses import of_one_client, parse_address

_PUBLIC_HOSTS = frozenset(
    [
        "aol.com",
        "duck.com",
        "fastmail.com",
        "gmail.com",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.fr",
        "icloud.com",
        "inbox.com",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "mailbox.org",
        "me.com",
        "msn.com",
        "naver.com",
        "outlook.com",
        "outlook.sa",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rocketmail.com",
        "tuta.com",
        "tutanota.com",
        "web.de",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.fr",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
        "126.com",
        "163.com",
    ]
)
# One mailbox, however many dots its owner puts in.
_DOTLESS_HOSTS = frozenset({"gmail.com", "googlemail.com"})


class Trait(StrEnum):
    """What may be shared."""

    ADDRESS = "address"
    BANK_ACCOUNT = "bank_account"
    EMAIL = "email"
    EMAIL_HOST = "email_host"


@dataclass(frozen=True, slots=True)
class SharedTrait:
    """One thing that an owner shares with these renters and with the owners of these providers, by their ids."""

    trait: Trait
    renter_ids: tuple[int, ...] = ()
    provider_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of an account; `networks` are where it was registered from and where its machine says it is."""

    email: str
    networks: frozenset[str] = frozenset()
    ibans: frozenset[str] = frozenset()

    def shared_with(self, other: "Traits") -> list[Trait]:
        """Return what two accounts have in common, by the rules of mail: a public host says nothing."""
        found = []
        if self.networks & other.networks:
            found.append(Trait.ADDRESS)
        if self.ibans & other.ibans:
            found.append(Trait.BANK_ACCOUNT)
        if mailbox(self.email) == mailbox(other.email):
            found.append(Trait.EMAIL)
        elif host(self.email) == host(other.email) and host(self.email) not in _PUBLIC_HOSTS:
            found.append(Trait.EMAIL_HOST)
        return found


def host(email: str) -> str:
    """Return the host of a mail address, in lower case."""
    return email.rpartition("@")[2].lower()


def mailbox(email: str) -> str:
    """Return the mailbox that an address leads to, without the tag after a plus."""
    local, _, domain = email.lower().rpartition("@")
    local = local.partition("+")[0]
    return f"{local.replace('.', '') if domain in _DOTLESS_HOSTS else local}@{domain}"


def network(address: str | None) -> str | None:
    """Return what tells one site's addresses from another's: an IPv4 address, or the /64 of an IPv6 one."""
    # None for a socket of this machine, and for what is a daemon's own words.
    parsed = parse_address(address or "")
    return None if parsed is None else of_one_client(parsed)


def shared_traits(own: Traits, renters: Mapping[int, Traits], providers: Mapping[int, Traits]) -> Iterable[SharedTrait]:
    """Return what an owner shares with others, in the order of the traits."""
    by_renter = {renter_id: own.shared_with(other) for renter_id, other in renters.items()}
    by_provider = {provider_id: own.shared_with(other) for provider_id, other in providers.items()}
    for trait in Trait:
        renter_ids = tuple(sorted(one for one, shared in by_renter.items() if trait in shared))
        provider_ids = tuple(sorted(one for one, shared in by_provider.items() if trait in shared))
        if renter_ids or provider_ids:
            yield SharedTrait(trait, renter_ids, provider_ids)
