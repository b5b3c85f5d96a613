"""What renters and owners of machines have: money, keys, machines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from dc1.client.asynchronous.paging import by_offset
from dc1.client.asynchronous.transport import AsyncTransport
from dc1.client.calls import path

if TYPE_CHECKING:
    from dcp import rest_types as rest


class AsyncRenterAccount:
    """A renter's account: the wallet and the keys."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def me(self) -> rest.GetRenterResponse:
        """Return the account and its newest jobs."""
        body: Any = (await self._transport.get("/renters/me")).body
        account: rest.GetRenterResponse = body
        return account

    async def balance(self) -> rest.GetBalanceResponse:
        """Return what is in the wallet."""
        body: Any = (await self._transport.get("/renters/balance")).body
        balance: rest.GetBalanceResponse = body
        return balance

    async def top_up(self, halala: int, *, idempotency_key: str | None = None) -> rest.TopUpResponse:
        """Add money to the wallet, once however often it is sent."""
        answer = await self._transport.post_once(
            "/renters/topup", {"amount_halala": halala}, idempotency_key=idempotency_key
        )
        body: Any = answer.body
        added: rest.TopUpResponse = body
        return added

    def transactions(self, *, direction: str | None = None) -> AsyncIterator[rest.WalletEntry]:
        """Yield what moved in the wallet, newest first."""
        where = "/renters/me/transactions"
        return by_offset(self._transport, where, "entries", size=100, direction=direction)

    async def keys(self) -> list[rest.RenterKey]:
        """Return the scoped keys."""
        keys: list[rest.RenterKey] = (await self._transport.get("/renters/me/keys")).body["keys"]
        return keys

    async def create_key(self, scopes: list[str] | None = None, **fields: Any) -> rest.CreateRenterKeyResponse:
        """Make a key that may do less than the account's; it is said this once."""
        body: Any = (await self._transport.post("/renters/me/keys", {"scopes": scopes, **fields})).body
        key: rest.CreateRenterKeyResponse = body
        return key

    async def revoke_key(self, key_id: str) -> None:
        """Take a scoped key back."""
        await self._transport.delete(path("renters", "me", "keys", key_id))


class AsyncProviderAccount:
    """An owner's account: the machines and what they earned."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def me(self) -> rest.GetProviderResponse:
        """Return the account and its newest jobs."""
        body: Any = (await self._transport.get("/providers/me")).body
        account: rest.GetProviderResponse = body
        return account

    async def earnings(self) -> rest.GetEarningsResponse:
        """Return what was earned, and what of it can be paid out."""
        body: Any = (await self._transport.get("/providers/earnings")).body
        earnings: rest.GetEarningsResponse = body
        return earnings

    async def withdraw(
        self, halala: int, iban: str, *, idempotency_key: str | None = None
    ) -> rest.CreateWithdrawalResponse:
        """Ask for a payout, once however often it is sent."""
        asked = {"amount_halala": halala, "iban": iban}
        answer = await self._transport.post_once("/providers/me/withdraw", asked, idempotency_key=idempotency_key)
        body: Any = answer.body
        withdrawal: rest.CreateWithdrawalResponse = body
        return withdrawal

    def machines(self) -> AsyncIterator[rest.Machine]:
        """Yield the machines, by their ids."""
        return by_offset(self._transport, "/providers/me/machines", "machines", size=100)

    async def add_machine(
        self, name: str, *, idempotency_key: str | None = None, **fields: Any
    ) -> rest.AddMachineResponse:
        """Add a machine with a key of its own, which is said this once."""
        answer = await self._transport.post_once(
            "/providers/me/machines", {"name": name, **fields}, idempotency_key=idempotency_key
        )
        body: Any = answer.body
        added: rest.AddMachineResponse = body
        return added

    async def pause(self) -> None:
        """Take no new jobs."""
        await self._transport.post("/providers/pause")

    async def resume(self) -> None:
        """Take jobs again."""
        await self._transport.post("/providers/resume")
