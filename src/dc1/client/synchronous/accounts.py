# Made of `asynchronous/accounts.py` by `make gen`; edited there.
"""What renters and owners of machines have: money, keys, machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dc1.client.calls import path
from dc1.client.synchronous.paging import by_offset
from dc1.client.synchronous.transport import Transport

if TYPE_CHECKING:
    from dcp import rest_types as rest


class RenterAccount:
    """A renter's account: the wallet and the keys."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def me(self) -> rest.GetRenterResponse:
        """Return the account and its newest jobs."""
        body: Any = (self._transport.get("/renters/me")).body
        account: rest.GetRenterResponse = body
        return account

    def balance(self) -> rest.GetBalanceResponse:
        """Return what is in the wallet."""
        body: Any = (self._transport.get("/renters/balance")).body
        balance: rest.GetBalanceResponse = body
        return balance

    def top_up(self, halala: int, *, idempotency_key: str | None = None) -> rest.TopUpResponse:
        """Add money to the wallet, once however often it is sent."""
        answer = self._transport.post_once("/renters/topup", {"amount_halala": halala}, idempotency_key=idempotency_key)
        body: Any = answer.body
        added: rest.TopUpResponse = body
        return added

    def transactions(self, *, direction: str | None = None) -> Iterator[rest.WalletEntry]:
        """Yield what moved in the wallet, newest first."""
        where = "/renters/me/transactions"
        return by_offset(self._transport, where, "entries", size=100, direction=direction)

    def keys(self) -> list[rest.RenterKey]:
        """Return the scoped keys."""
        keys: list[rest.RenterKey] = (self._transport.get("/renters/me/keys")).body["keys"]
        return keys

    def create_key(self, scopes: list[str] | None = None, **fields: Any) -> rest.CreateRenterKeyResponse:
        """Make a key that may do less than the account's; it is said this once."""
        body: Any = (self._transport.post("/renters/me/keys", {"scopes": scopes, **fields})).body
        key: rest.CreateRenterKeyResponse = body
        return key

    def revoke_key(self, key_id: str) -> None:
        """Take a scoped key back."""
        self._transport.delete(path("renters", "me", "keys", key_id))


class ProviderAccount:
    """An owner's account: the machines and what they earned."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def me(self) -> rest.GetProviderResponse:
        """Return the account and its newest jobs."""
        body: Any = (self._transport.get("/providers/me")).body
        account: rest.GetProviderResponse = body
        return account

    def earnings(self) -> rest.GetEarningsResponse:
        """Return what was earned, and what of it can be paid out."""
        body: Any = (self._transport.get("/providers/earnings")).body
        earnings: rest.GetEarningsResponse = body
        return earnings

    def withdraw(self, halala: int, iban: str, *, idempotency_key: str | None = None) -> rest.CreateWithdrawalResponse:
        """Ask for a payout, once however often it is sent."""
        asked = {"amount_halala": halala, "iban": iban}
        answer = self._transport.post_once("/providers/me/withdraw", asked, idempotency_key=idempotency_key)
        body: Any = answer.body
        withdrawal: rest.CreateWithdrawalResponse = body
        return withdrawal

    def machines(self) -> Iterator[rest.Machine]:
        """Yield the machines, by their ids."""
        return by_offset(self._transport, "/providers/me/machines", "machines", size=100)

    def add_machine(self, name: str, *, idempotency_key: str | None = None, **fields: Any) -> rest.AddMachineResponse:
        """Add a machine with a key of its own, which is said this once."""
        answer = self._transport.post_once(
            "/providers/me/machines", {"name": name, **fields}, idempotency_key=idempotency_key
        )
        body: Any = answer.body
        added: rest.AddMachineResponse = body
        return added

    def pause(self) -> None:
        """Take no new jobs."""
        self._transport.post("/providers/pause")

    def resume(self) -> None:
        """Take jobs again."""
        self._transport.post("/providers/resume")
