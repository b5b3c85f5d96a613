"""A second daemon with a provider's key: kept off the first one's stream while that lives, and told of."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from dc1.control.beat_pace import MOST_STRETCH, stretched
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.replicas import Replicas
from dc1.domain import errors
from dc1.storage.providers import providers

_LOOK_SECONDS = 0.1
_NOTE_AGAIN_MS = 60_000
"""A second daemon that asks again and again is written down once in so long."""

_HOSTS_FORGOTTEN_MS = 5 * 60_000
_MOST_HOSTS = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """A daemon that asks for its provider's stream: which process it is, by which key, and whether it insists.

    `instance` is `instance_of` its id, empty for one that names none, and `key_is_replaced` whether its key is an old
    one in its grace.
    """

    instance: str
    key_id: str | None = None
    key_is_replaced: bool = False
    take_over: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """What was known of a holder elsewhere when a daemon first asked for its place."""

    instance: str
    heartbeat_ms: int | None
    at: float


def instance_of(instance_id: str) -> str:
    """Return what a daemon's id is known by; empty for none.

    A digest: with the id itself, whoever reads the database and has the key could take the stream unnoticed.
    """
    return hashlib.sha256(instance_id.encode()).hexdigest() if instance_id else ""


class SecondDaemons:
    """Decides who has a provider's stream, and writes down when two daemons have one key."""

    def __init__(self, core: Core, replicas: Replicas) -> None:
        self._db = core.db
        self._clock = core.clock
        self._sessions = core.sessions
        self._fleet = core.fleet
        self._replicas = replicas
        # By the pace of another server, which is not known here.
        self._interval_elsewhere_seconds = stretched(core.config.beat_interval_seconds, MOST_STRETCH)
        self._looks: dict[int, _Look] = {}
        self._hosts: dict[int, OrderedDict[str, int]] = {}

    async def admit(self, provider: Provider, asker: Asker) -> None:
        """Return when the provider's stream is the asker's to open.

        A process that reconnects is let in at once, whatever became of its last stream. Any other waits until the
        daemon that holds the stream has spoken, or was silent for two beats. That takes a beat at the most, as the
        holder is asked for one.

        Raises:
            provider_key_in_use: The daemon that holds the stream lives.
        """
        began = time.monotonic()
        asked = False
        while not self._is_free(provider, asker):
            if asker.take_over:
                await self._note(provider, "taken over")
                break
            if self._holder_spoke(provider, asker, began):
                self._looks.pop(provider.id, None)
                await self._note(provider, "refused")
                raise errors.provider_key_in_use()
            if not asked and (session := self._sessions.get(provider.id)) is not None:
                session.ask_for_beat()
                asked = True
            await asyncio.sleep(_LOOK_SECONDS)
        self._looks.pop(provider.id, None)

    def _is_free(self, provider: Provider, asker: Asker) -> bool:
        session = self._sessions.get(provider.id)
        if session is not None:
            if asker.instance and asker.instance == session.instance:
                return True
            # The owner has a new key, perhaps because somebody else has the old one.
            if session.key_id != asker.key_id and not asker.key_is_replaced:
                return True
            return time.monotonic() - session.heard_at > _silence_seconds(session.beat_interval_seconds)
        if provider.stream_replica not in self._replicas.others:
            return True
        if asker.instance and asker.instance == provider.stream_instance:
            return True
        look = self._look(provider, asker)
        # Beats of a daemon elsewhere arrive by the database, which is told of them once a second.
        silence_seconds = _silence_seconds(self._interval_elsewhere_seconds) + 1
        return time.monotonic() - look.at > silence_seconds and not _heard_since(provider, look)

    def _holder_spoke(self, provider: Provider, asker: Asker, began: float) -> bool:
        session = self._sessions.get(provider.id)
        if session is not None:
            return session.heard_at > began
        return _heard_since(provider, self._look(provider, asker))

    def _look(self, provider: Provider, asker: Asker) -> _Look:
        # Kept while the asker comes again: a daemon that waits for its welcome less long than a beat takes would else
        # never hear that it is the second.
        look = self._looks.get(provider.id)
        if look is None or look.instance != asker.instance:
            look = _Look(asker.instance, provider.presence.last_heartbeat_ms, time.monotonic())
            self._looks[provider.id] = look
        return look

    # Daemons that poll

    async def posted(self, provider: Provider, host: str | None) -> None:
        """Note the machine that a heartbeat by POST names; two that take turns are two daemons.

        A machine may change its name, but only two have the old one back.
        """
        if host is None:
            return
        now_ms = self._clock.now_ms()
        hosts = self._hosts.setdefault(provider.id, OrderedDict())
        others_since = host in hosts and next(reversed(hosts)) != host and now_ms - hosts[host] < _HOSTS_FORGOTTEN_MS
        hosts[host] = now_ms
        hosts.move_to_end(host)
        while len(hosts) > _MOST_HOSTS:
            hosts.popitem(last=False)
        if others_since:
            await self._note(provider, "polling")

    async def _note(self, provider: Provider, what: str) -> None:
        now_ms = self._clock.now_ms()
        noted_ms = provider.second_daemon_at_ms
        if noted_ms is not None and now_ms - noted_ms < _NOTE_AGAIN_MS:
            return
        log.warning("second_daemon", provider_id=provider.id, what=what)
        provider.second_daemon_at_ms = now_ms
        await self._db.write(lambda conn: providers.note_second_daemon(conn, provider.id, now_ms))


def _silence_seconds(interval_seconds: float) -> float:
    """Return for how long nobody is silent who lives: a beat was due twice."""
    return 2 * interval_seconds + 1


def _heard_since(provider: Provider, look: _Look) -> bool:
    return provider.presence.last_heartbeat_ms != look.heartbeat_ms
