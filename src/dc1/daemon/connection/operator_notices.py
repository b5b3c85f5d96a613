"""What the person behind the daemon should know, said when it changes and not with every beat."""

from collections.abc import Sequence

import structlog

from dc1.domain.base.clock import iso
from dc1.domain.base.versions import is_older
from dcp.v1 import daemon_stream_pb2 as pb

_SUSPENDED = "suspended by an admin of the marketplace: no work is offered until that is lifted"

_SECOND = "another daemon used this provider's key: stop it if it is yours, rotate the key if it is not"

log = structlog.get_logger(__name__)


class MachineNotices:
    """What telemetry found, and when a card was lost or came back."""

    def __init__(self) -> None:
        self._said: tuple[Sequence[str], Sequence[str]] | None = None

    def machine(self, gpus: Sequence[str], problems: Sequence[str]) -> None:
        """Log the GPUs, by name, and what keeps others from being used."""
        if self._said == (gpus, problems):
            return
        # What was offered and is gone costs the owner money; a machine that never had a card is no news to warn of.
        fewer = self._said is not None and len(gpus) < len(self._said[0])
        self._said = gpus, problems
        details: dict[str, object] = {"problems": problems} if problems else {}
        if not gpus:
            details["hint"] = "no GPU, so the CPU is offered"
        (log.warning if fewer else log.info)("gpus_found", gpus=gpus, **details)


class OperatorNotices:
    """What the server says of this provider. Every beat is answered by the whole state; only changes are logged."""

    def __init__(self) -> None:
        self._paused = False
        self._suspended = False
        self._preload = ""
        self._outdated_for = ""
        self._second_daemon_at_ms = 0

    def show(self, desired: pb.Desired, version: str | None) -> None:
        """Log what is new in a desired state, for a daemon of that version."""
        if desired.paused != self._paused:
            self._paused = desired.paused
            if self._paused:
                log.info("paused", hint="no new work is offered")
            else:
                log.info("resumed")
        if desired.suspended != self._suspended:
            self._suspended = desired.suspended
            if self._suspended:
                log.warning("suspended", hint=_SUSPENDED)
            else:
                log.info("suspension_lifted")
        # A wish and no order: which models an engine holds is its owner's to decide.
        if desired.preload_model != self._preload:
            self._preload = desired.preload_model
            if self._preload:
                log.info("model_wanted", hint="add it to the engine", model=self._preload)
        if desired.second_daemon_at_ms > self._second_daemon_at_ms:
            self._second_daemon_at_ms = desired.second_daemon_at_ms
            log.warning("second_daemon", hint=_SECOND, at=iso(desired.second_daemon_at_ms))
        if is_older(version, desired.min_version) and desired.min_version != self._outdated_for:
            self._outdated_for = desired.min_version
            log.warning(
                "daemon_outdated", hint="this daemon is out of date", version=version, needed=desired.min_version
            )
