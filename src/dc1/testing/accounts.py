"""Accounts of renters and providers, opened over REST as people open them."""

from itertools import count
from typing import Any

from dc1.testing.people import Admin, Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Rest


class Registrar:
    """Opens accounts, each with a number, a name and an address of its own."""

    def __init__(self) -> None:
        # Numbers of its own and not the accounts' ids: an address is needed before there is an id, and each may
        # register once (contract 2.1).
        self._numbers = count(1)

    def renter(self, rest: Rest, **changes: Any) -> Renter:
        """Open a renter's account; `changes` replace fields of the registration."""
        number = next(self._numbers)
        body = {"name": f"Renter {number}", "email": f"renter{number}@example.sa", **changes}
        answer = answered(rest.post("/renters/register", body), 201)
        return Renter(rest, answer["renter_id"], answer["api_key"])

    def provider(self, rest: Rest, **changes: Any) -> PollDaemon:
        """Open the account of a provider that no admin has decided about."""
        number = next(self._numbers)
        account = {"name": f"Provider {number}", "email": f"gpu{number}@example.sa", "gpu_model": "RTX 4090"}
        answer = answered(rest.post("/providers/register", {**account, "os": "linux", **changes}), 201)
        return PollDaemon(rest, answer["provider_id"], answer["api_key"])

    def approved_provider(self, rest: Rest, admin: Admin, **changes: Any) -> PollDaemon:
        """Open the account of a provider that may work and was not heard of yet."""
        provider = self.provider(rest, **changes)
        admin.approve(provider.id)
        return provider
