"""Waits for the driver to tell of errors of cards, in a thread that may hang or die by itself."""

import contextlib
import ctypes
import threading
from collections.abc import Mapping
from typing import Any

import pynvml
import structlog

from dc1.daemon.telemetry.card_errors import CardErrors

_WAIT_MS = 500
_STOP_SECONDS = 1.0
_PAUSE_SECONDS = 0.02
"""After each answer: a driver may have one at once whenever it is asked, and keeps what it has to tell meanwhile."""

_BROKEN_PAUSE_SECONDS = 0.5
_MOST_BROKEN = 10
"""Answers in a row that cannot be understood, from which a driver is not asked any more until it is opened anew."""

log = structlog.get_logger(__name__)


class XidWatch:
    """Listens while the driver is open. One that hangs is left to it, and no other is begun until it has come back."""

    def __init__(self, errors: CardErrors) -> None:
        self._errors = errors
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._listening = threading.Event()

    @property
    def listens(self) -> bool:
        """Whether errors would be heard now."""
        return self._listening.is_set() and self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to listen, once until `stop`: who hangs in the driver, or found no way to listen, is not followed."""
        is_over = self._thread is not None and not self._thread.is_alive() and self._stopped.is_set()
        if self._thread is not None and not is_over:
            return
        self._stopped.clear()
        self._listening.clear()
        self._thread = threading.Thread(target=self._listen, name="xid-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, or leave it in the driver if it does not."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _listen(self) -> None:
        try:
            # The library counts how often it was opened: closed beneath a wait, it would be gone under it.
            pynvml.nvmlInit()
            try:
                self._follow()
            finally:
                with contextlib.suppress(Exception):
                    pynvml.nvmlShutdown()
        except Exception as error:
            # Not on every card, driver and system: then its errors are unknown, and nothing else is.
            log.info("xids_not_watched", reason=f"{type(error).__name__}: {error}"[:200])
        finally:
            self._listening.clear()

    def _follow(self) -> None:
        events = pynvml.nvmlEventSetCreate()
        try:
            cards = _registered(events)
            if cards:
                self._listening.set()
                self._hear(events, cards)
        finally:
            with contextlib.suppress(Exception):
                pynvml.nvmlEventSetFree(events)

    def _hear(self, events: Any, cards: Mapping[int | None, str]) -> None:
        broken = 0
        while not self._stopped.is_set() and broken < _MOST_BROKEN:
            try:
                event = pynvml.nvmlEventSetWait_v2(events, _WAIT_MS)
                if event.eventType & pynvml.nvmlEventTypeXidCriticalError:
                    self._told(event, cards)
                broken = 0
                self._stopped.wait(_PAUSE_SECONDS)
            except pynvml.NVMLError_Timeout:
                broken = 0
            except Exception:
                # It may have failed at once, and would be asked again as fast as it can.
                broken += 1
                self._stopped.wait(_BROKEN_PAUSE_SECONDS)

    def _told(self, event: Any, cards: Mapping[int | None, str]) -> None:
        uuid = cards.get(_address(event.device)) or (next(iter(cards.values())) if len(cards) == 1 else None)
        log.warning("xid_error", xid=event.eventData, gpu_uuid=uuid)
        if uuid is not None:
            self._errors.note_xid(uuid, event.eventData)


def _registered(events: Any) -> dict[int | None, str]:
    """Ask for the errors of every card that can tell them, and return those cards by their handles."""
    cards: dict[int | None, str] = {}
    for index in range(pynvml.nvmlDeviceGetCount()):
        with contextlib.suppress(Exception):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            # Before anything happens: a card that has fallen off the bus does not say any more which it was.
            uuid = pynvml.nvmlDeviceGetUUID(handle)
            pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
            cards[_address(handle)] = uuid
    return cards


def _address(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value
