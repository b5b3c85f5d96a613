"""The operators of the market, all of them in memory: there are few, and who is revoked must be so at once."""

import asyncio

from dc1.control.access.key_watch import KeyWatch
from dc1.control.periodic import Periodic
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.operators import Operator
from dc1.domain.base.clock import Clock
from dc1.domain.errors import invalid_field, operator_not_found
from dc1.storage.admin import operators
from dc1.storage.admin.operators import NewOperator, OperatorRow
from dc1.storage.engine.database import Connection, Database
from dc1.storage.engine.row_mapping import Page

_USE_SECONDS = 30.0


class Operators:
    """Tells whose token it is without asking the database, and makes, replaces and revokes tokens."""

    def __init__(self, database: Database, clock: Clock, watch: KeyWatch) -> None:
        self._database = database
        self._clock = clock
        self._watch = watch
        self._by_key: dict[str, OperatorRow] = {}
        self._loading = asyncio.Lock()
        self._used: dict[int, int] = {}
        self._periodic = Periodic((_USE_SECONDS, self.store_use))

    async def start(self) -> None:
        """Read who there is, and begin to store who called."""
        await self.load()
        self._periodic.start()

    async def stop(self) -> None:
        """End, and store who called last."""
        await self._periodic.stop()
        await self.store_use()

    async def load(self) -> None:
        """Read who is not revoked, with everything that was committed before this call."""
        # One after the other, so that an earlier reading cannot come last and let a revoked token in again.
        async with self._loading:
            rows = await self._database.read(operators.in_force)
            before, self._by_key = self._by_key, {row.key_id: row for row in rows}
        for key_id in before.keys() - self._by_key.keys():
            self._watch.tell(key_id)

    def identify(self, token: str) -> Operator | None:
        """Return whose token it is, None for one that nobody has, or that was revoked or has expired."""
        parsed = keys.parse(token)
        if parsed is None or parsed.role is not KeyRole.OPERATOR:
            return None
        row = self._by_key.get(parsed.key_id)
        # They are found by the public part of the token; the secret is compared on every call.
        if row is None or not keys.matches(token, row.key_hash):
            return None
        operator = self.current(parsed.key_id)
        if operator is not None:
            # Noted here and stored in batches: a call must not cost a write.
            self._used[operator.id] = self._clock.now_ms()
        return operator

    def current(self, key_id: str) -> Operator | None:
        """Return the operator behind a token that was good when a call began, or None when it is so no more."""
        row = self._by_key.get(key_id)
        if row is None or (row.expires_at_ms is not None and self._clock.now_ms() >= row.expires_at_ms):
            return None
        return Operator(row.id, row.name, row.role, row.methods, key_id)

    async def page(self, *, limit: int, offset: int) -> Page[OperatorRow]:
        """Return operators, newest first, of all that there ever were, with the uses of the last seconds."""
        await self.store_use()
        return await self._database.read(lambda conn: operators.page(conn, limit=limit, offset=offset))

    async def get(self, operator_id: int) -> OperatorRow:
        """Return an operator that there is, with the uses of the last seconds."""
        await self.store_use()
        return await self._database.read(lambda conn: operators.get(conn, operator_id))

    async def add(self, new: NewOperator, caller: Operator | None) -> tuple[OperatorRow, str]:
        """Make an operator and return it with its token; raises `Operator name taken`.

        `caller` is whose right this is done by, None for the admin token's; it has to be good still, here as below.
        """
        key, now_ms = keys.new_key(KeyRole.OPERATOR), self._clock.now_ms()

        def work(conn: Connection) -> OperatorRow:
            operators.require_current(conn, caller, now_ms)
            return operators.add(conn, new, key, now_ms)

        row = await self._database.write(work)
        await self.load()
        return row, key.key

    async def rotate(
        self, operator_id: int, expires_at_ms: int | None, caller: Operator | None
    ) -> tuple[OperatorRow, str]:
        """Replace a token and return its operator with the new one, which ends with the old unless it is said when."""
        key, now_ms = keys.new_key(KeyRole.OPERATOR), self._clock.now_ms()

        def work(conn: Connection) -> OperatorRow:
            row = operators.lock(conn, operator_id, caller, now_ms)
            if row.revoked_at_ms is not None:
                raise operator_not_found()
            until_ms = row.expires_at_ms if expires_at_ms is None else expires_at_ms
            if until_ms is not None and until_ms <= now_ms:
                raise invalid_field("expires_in_days", "is required, as the old token has expired")
            return operators.replace_token(conn, operator_id, key, until_ms)

        row = await self._database.write(work)
        # Before it is answered: whoever stole the old token has lost it by then.
        await self.load()
        return row, key.key

    async def revoke(self, operator_id: int, caller: Operator | None) -> OperatorRow:
        """Stop a token for good and return its operator; raises `Operator not found`."""
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> OperatorRow:
            operators.lock(conn, operator_id, caller, now_ms)
            return operators.revoke(conn, operator_id, now_ms)

        row = await self._database.write(work)
        await self.load()
        return row

    async def store_use(self) -> None:
        """Store who called since the last time."""
        used, self._used = self._used, {}
        if used:
            await self._database.write(lambda conn: operators.touch_many(conn, used))
