"""The answers of a daemon that polls to its probe, in plain JSON over REST: the whole of what such a daemon needs."""

import os
from base64 import b64decode, b64encode

import numpy as np

from dc1.daemon.probe.array_library import ArrayLibrary
from dc1.domain.probe.answering import Answer
from dc1.domain.probe.rounds import Kind, LeafRef, Round, first_round
from dc1.domain.providers.measurements import Device
from dc1.testing.people import answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json

_KINDS = {"PROBE_KIND_PRODUCTS": Kind.PRODUCTS, "PROBE_KIND_MEMORY": Kind.MEMORY}
_TRIES = 10


class ChallengedDaemon:
    """Computes by numpy what its daemon is asked.

    Attributes:
        device: what it says that it computes on.
        verdict: the last that it was told.
    """

    def __init__(self, daemon: PollDaemon, device: str = "cpu") -> None:
        self.daemon = daemon
        self.device = device
        self.verdict: Json = {}
        self._library = ArrayLibrary(np, np.asarray, os.cpu_count() or 1)
        self._answer: Answer | None = None

    def ask(self, probe_id: str | None = None) -> Json:
        """Return what is asked, by which a probe that is due begins."""
        return answered(
            self.daemon.get("/verification/pending", params={"probe": "true", "challenge_id": probe_id or ""})
        )

    def prove(self) -> str | None:
        """Answer until the probe is over, and return what came of it; None where there is none."""
        asked = self.ask()
        probe_id = asked.get("challenge_id")
        while asked["pending"]:
            # Nothing to do is asked of a machine that has to wait for those beside it.
            answer = self.answer(asked)
            asked = self.ask(probe_id) if answer is None else self.submit({"challenge_id": probe_id, **answer})
        outcome: str | None = asked.get("end", {}).get("outcome")
        return outcome

    def answer(self, asked: Json) -> Json | None:
        """Return the answer to what is asked, None where nothing is."""
        if "prepare" in asked:
            seed = b64decode(asked["prepare"]["table_seed"])
            self._library.load_table(seed, first_round(Device.CPU, Kind.MEMORY).rows)
            return {"ready": {"device": self.device, "library": "numpy"}}
        if "begin" in asked:
            begin = asked["begin"]
            of = Round(_KINDS[begin["kind"]], begin["rows"], begin["steps"])
            self._answer = Answer(self._library, of, b64decode(begin["seed"]))
            return {"roots": {"round": begin["round"], "roots": [_text(root) for root in self._answer.roots]}}
        if "open" in asked:
            assert self._answer is not None
            refs = [LeafRef(ref.get("step", 0), ref.get("leaf", 0)) for ref in asked["open"]["leaves"]]
            leaves = [
                {"ref": {"step": ref.step, "leaf": ref.leaf}, "content": _text(content), "path": [*map(_text, path)]}
                for ref, content, path in self._answer.leaves(refs)
            ]
            return {"leaves": {"round": asked["open"]["round"], "leaves": leaves}}
        return None

    def submit(self, body: Json) -> Json:
        """Hand in an answer, and return what is asked next."""
        for _ in range(_TRIES):
            self.verdict = answered(self.daemon.post("/verification/submit", body))
            if "unknown_challenge" not in self.verdict["flags"]:
                return self.verdict.get("next") or {"pending": True}
            # Beside several servers this one may be another than the one that asked.
        return {"pending": False}


def _text(data: bytes) -> str:
    return b64encode(data).decode()
