"""Who has something in common with the owners that ask for money; looked up for a page of withdrawals at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, or_, select

from dc1.domain.money.shared_traits import SharedTrait, Traits, network, shared_traits
from dc1.storage.schema.tables import account_id_of, promo_earnings, providers, renters, withdrawals

_MOST_RENTERS = 10_000
"""Renters looked at for one page; an operator who sees a hundred of them needs no more."""


def of_providers(conn: Connection, provider_ids: Collection[int]) -> dict[int, list[SharedTrait]]:
    """Return what the owners of providers share with each other, and with renters whose starter credit they earned.

    Renters who were registered at the owner's address, or with the owner's own mail address, count without it.
    """
    if not provider_ids:
        return {}
    owners = _owners(conn)
    asked = {provider_id: owners[provider_id] for provider_id in provider_ids if provider_id in owners}
    earned_from = _earned_from(conn, asked)
    everywhere = _alike(conn, asked.values())
    found = {}
    for provider_id, own in asked.items():
        others = {other_id: traits for other_id, traits in owners.items() if other_id != provider_id}
        found[provider_id] = list(shared_traits(own, everywhere | earned_from[provider_id], others))
    return found


def _owners(conn: Connection) -> dict[int, Traits]:
    # All of them, of which a market has few; what is compared is not what an index could find. An owner is where any of
    # its machines is.
    columns = (
        account_id_of(providers),
        providers.c.owner_id,
        providers.c.email,
        providers.c.registered_from,
        providers.c.provider_ip,
    )
    ibans: defaultdict[int, set[str]] = defaultdict(set)
    for provider_id, iban in conn.execute(select(withdrawals.c.provider_id, withdrawals.c.iban).distinct()):
        ibans[provider_id].add(iban)
    emails: dict[int, str] = {}
    places: defaultdict[int, set[str]] = defaultdict(set)
    query = select(*columns).where(providers.c.deleted_at_ms.is_(None))
    for provider_id, owner_id, email, registered_from, said in conn.execute(query):
        places[provider_id] |= _networks(registered_from, said)
        if owner_id is None:
            emails[provider_id] = email
    return {
        provider_id: Traits(email, frozenset(places[provider_id]), frozenset(ibans[provider_id]))
        for provider_id, email in emails.items()
    }


def _networks(registered_from: str | None, said: str | None = None) -> frozenset[str]:
    return frozenset(found for found in (registered_from, network(said)) if found is not None)


_RENTER = (renters.c.id, renters.c.email, renters.c.registered_from)


def _earned_from(conn: Connection, asked: Collection[int]) -> defaultdict[int, dict[int, Traits]]:
    found: defaultdict[int, dict[int, Traits]] = defaultdict(dict)
    query = (
        select(promo_earnings.c.provider_id, *_RENTER)
        .join(renters, renters.c.id == promo_earnings.c.renter_id)
        .where(promo_earnings.c.provider_id.in_(asked))
        .order_by(promo_earnings.c.renter_id.desc())
        .limit(_MOST_RENTERS)
    )
    for provider_id, renter_id, email, registered_from in conn.execute(query):
        found[provider_id][renter_id] = Traits(email, _networks(registered_from))
    return found


def _alike(conn: Connection, asked: Iterable[Traits]) -> dict[int, Traits]:
    """Return the renters who were registered at one of the owners' addresses, or with one of their mail addresses."""
    owners = list(asked)
    networks = frozenset[str]().union(*(own.networks for own in owners))
    emails = {own.email for own in owners}
    query = select(*_RENTER).where(or_(renters.c.registered_from.in_(networks), renters.c.email.in_(emails)))
    return {
        renter_id: Traits(email, _networks(registered_from))
        for renter_id, email, registered_from in conn.execute(query.order_by(renters.c.id.desc()).limit(_MOST_RENTERS))
    }
