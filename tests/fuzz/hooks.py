"""Who calls: schemathesis loads this module (schemathesis.toml) and asks it for the credentials of every call.

An operation that admits several roles is called by each of them in turn. A fuzzed market suspends people, turns their
keys around and deletes them, so a key that is no longer good is replaced by that of a new account.
"""

import os
import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import schemathesis
from schemathesis import AuthContext, Case

from dc1.testing.people import Admin, answered
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Rest, credential

_OUR_KEY = re.compile("dc1-(renter|sk|provider)-")

# What the keys of a call's account do not outlive.
LAST_CALLS = {"RotateRenterKey", "DeleteRenter", "RotateProviderKey", "DeleteProvider"}


class People:
    """One account of each role, replaced as soon as it is no longer what it was."""

    def __init__(self, url: str, admin_token: str) -> None:
        self._rest = Rest(url)
        self._admin = Admin(self._rest, admin_token)
        self._numbers = count(1)
        self._turns = count()
        self._keys: dict[str, str] = {}
        self._makers: dict[str, Callable[[], str]] = {
            "renterKey": self._new_renter,
            "providerKey": self._new_provider,
            "adminToken": lambda: admin_token,
        }

    def key_for(self, operation: str, schemes: list[str]) -> str:
        scheme = schemes[next(self._turns) % len(schemes)]
        if operation in LAST_CALLS:
            return self._makers[scheme]()
        if not self._is_good(scheme):
            self._keys[scheme] = self._makers[scheme]()
        return self._keys[scheme]

    def roles(self, alternatives: list[str]) -> list[str]:
        return [scheme for scheme in self._makers if scheme in alternatives]

    def _is_good(self, scheme: str) -> bool:
        if scheme not in self._keys:
            return False
        path = {"renterKey": "/renters/balance", "providerKey": "/providers/me", "adminToken": "/admin/pricing"}[scheme]
        return self._rest.get(path, key=self._keys[scheme]).status_code == 200

    def _new_renter(self) -> str:
        account = {"name": "A renter", "email": f"fuzz-renter{next(self._numbers)}-{os.getpid()}@example.sa"}
        renter = answered(self._rest.post("/renters/register", account), 201)
        self._admin.adjust(renter["renter_id"], 1_000_000)
        key: str = renter["api_key"]
        return key

    def _new_provider(self) -> str:
        account = {
            "name": "A provider",
            "email": f"fuzz-gpu{next(self._numbers)}-{os.getpid()}@example.sa",
            "gpu_model": "RTX 4090",
            "os": "linux",
        }
        provider = answered(self._rest.post("/providers/register", account), 201)
        self._admin.approve(provider["provider_id"])
        PollDaemon(self._rest, provider["provider_id"], provider["api_key"]).heartbeat(REPORT)
        key: str = provider["api_key"]
        return key


PEOPLE = People(os.environ["DC1_FUZZ_URL"], os.environ["DC1_FUZZ_ADMIN_TOKEN"])


@schemathesis.auth(refresh_interval=None)
class EachRoleInTurn:
    """Puts a good key into the header of its role."""

    def get(self, case: Case[Any], context: AuthContext) -> dict[str, str] | None:
        alternatives = [name for option in case.operation.definition.raw.get("security", []) for name in option]
        schemes = PEOPLE.roles(alternatives)
        if not schemes:
            return None
        return credential(PEOPLE.key_for(case.operation.definition.raw["operationId"], schemes))

    def set(self, case: Case[Any], data: dict[str, str], context: AuthContext) -> None:
        case.headers.update(data)


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: object) -> object:
    """Name every key: the edge's transcoder takes a message that has an empty one for malformed."""
    if isinstance(body, dict):
        return {name: map_body(context, value) for name, value in body.items() if name}
    return [map_body(context, value) for value in body] if isinstance(body, list) else body


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: object) -> object:
    """Leave out keys of ours: made-up requests try what earlier answers contained, and a good key is let in."""
    return _without_keys(query)


@schemathesis.hook
def map_headers(context: schemathesis.HookContext, headers: object) -> object:
    """Leave out keys of ours, for the same reason."""
    return _without_keys(headers)


def _without_keys(carriers: object) -> object:
    if not isinstance(carriers, Mapping):
        return carriers
    return {name: value for name, value in carriers.items() if not _OUR_KEY.search(str(value))}
