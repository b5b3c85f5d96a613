"""People with jobs, keys and withdrawals of their own, made as they are asked for."""

import base64
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import count
from typing import Any

from sqlalchemy import insert

from dc1.domain.access.webhooks import WebhookEvent
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Connection
from dc1.storage.schema.tables import webhook_deliveries
from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.rest import Json, credential
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered
from tests.contract.inference.chat import HELLO, serve
from tests.contract.inference.paths import ANSWERS, BODIES, SOUNDS, give, having_all

NOBODY = ""
CHAT = f"12345678:{'a' * 35}/-100200300"
IBAN = "SA0380000000608010167519"
IMAGE: Json = {"type": "image", "format": "png", "image_base64": base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()}
SERVING: Json = {"job_type": "vllm_serve", "duration_minutes": 60, "params": {"model": MODEL}}

_numbers = count(1)


class Scene:
    """One renter, and one provider that runs nobody else's jobs.

    `provider_state`: registered, approved, heard, paid, or connected by a daemon that answers probes.
    """

    def __init__(self, market: LocalMarket, provider_state: str = "heard") -> None:
        self._stack = market
        self._provider_state = provider_state
        self._caller = "renterKey"

    @cached_property
    def renter(self) -> Renter:
        renter = self._stack.add_renter()
        # Paid for, as what starter credit earns could not be withdrawn.
        renter.top_up(10_000)
        return renter

    @cached_property
    def provider(self) -> PollDaemon:
        provider = self._stack.register_provider()
        if self._provider_state != "registered":
            self._stack.admin.approve(provider.id)
        if self._provider_state in ("heard", "paid", "connected"):
            provider.heartbeat()
        if self._provider_state == "connected":
            stream = self._stack.connect(provider)
            stream.state.probes = True
            stream.beat()
        if self._provider_state == "paid":
            self._earn(provider)
        return provider

    def key(self, scheme: str) -> str:
        """The key of who calls by this security scheme of the document."""
        keys: Mapping[str, Callable[[], str]] = {
            "adminToken": lambda: ADMIN_TOKEN,
            "renterKey": lambda: self.renter.key,
            "providerKey": lambda: self.provider.key,
        }
        return keys[scheme]()

    def credential(self, scheme: str) -> dict[str, str]:
        """The header with which who calls by this scheme does so; none for NOBODY."""
        self._caller = scheme or self._caller
        return {} if scheme == NOBODY else credential(self.key(scheme))

    def fill(self, path: str, job_state: str = "pending") -> str:
        """The path with ids of this scene's objects."""
        ids: Mapping[str, Callable[[], Any]] = {
            "{job_id}": lambda: self.job(job_state),
            "{image_id}": self.image,
            "{operator_id}": self.operator,
            "{renter_id}": lambda: self.renter.id,
            "{provider_id}": lambda: self.provider.id,
            "{machine_id}": self.machine,
            "{key_id}": self.key_id,
            "{withdrawal_id}": self.withdrawal,
            "{entry_id}": self.entry,
            "{job_type}": lambda: "benchmark",
            "{gpu_model}": lambda: "T4",
            "{format}": lambda: "png",
            "{delivery_id}": self.delivery,
            "{channel_id}": self.channel,
            "{template_id}": lambda: "python",
            "{model}": self.model,
            "{digest}": lambda: "older",
            "{file}": lambda: "daemon.txt" if path.startswith("/install/") else "main.js",
            "{language}": lambda: "ar",
        }
        for name, find in ids.items():
            if name in path:
                path = path.replace(name, str(find()))
        return path

    def image(self) -> int:
        """Row id of an image that nobody else takes back."""
        sent = {"image_ref": f"team/scene:{next(_numbers)}"}
        path = "/admin/containers/approve-image"
        return int(answered(self._stack.rest.post(path, sent, key=ADMIN_TOKEN), 201)["id"])

    @staticmethod
    def operator_name() -> str:
        """A name that no operator has."""
        return f"operator-{next(_numbers)}"

    def operator(self) -> int:
        """Row id of an operator whom nobody else revokes."""
        sent = {"name": self.operator_name(), "role": "viewer"}
        made = answered(self._stack.rest.post("/admin/operators", sent, key=ADMIN_TOKEN), 201)
        return int(made["operator"]["id"])

    def job(self, state: str) -> int:
        """A job of the renter's at the provider: pending, running, serving, completed, image or failed."""
        spec = SERVING if state == "serving" else J3
        job_id: int = self.renter.submit(spec, provider_id=self.provider.id)["id"]
        if state == "pending":
            return job_id
        assert self._stack.next_job(self.provider)["id"] == job_id
        outcomes: Mapping[str, Json] = {
            "completed": {"result": {"type": "text", "response": "ok"}},
            "image": {"result": IMAGE},
            "failed": {"error": "no"},
        }
        if state in outcomes:
            answered(self.provider.try_result(job_id, **outcomes[state]))
        return job_id

    def question(self) -> Json:
        """A call under /v1 that the provider is about to answer."""
        model, daemon = self._served()
        threading.Thread(target=serve, args=(daemon,)).start()
        return {**HELLO, "model": model}

    def call_of(self, path: str) -> Json:
        """A call on another path that the provider is about to answer."""
        model, daemon = self._served()
        having_all(daemon, model)
        threading.Thread(target=give, args=(daemon, ANSWERS[path])).start()
        return {**(BODIES | SOUNDS)[path], "model": model}

    def model(self) -> str:
        """The name of a model that the provider offers, in a path."""
        return self._served()[0]

    def _served(self) -> tuple[str, StreamDaemon]:
        model = f"scene/model-{next(_numbers)}"
        return model, self._stack.connect(self.provider, {**REPORT, "cached_models": [model]})

    def machine(self) -> int:
        """The id of a further machine of the provider's owner."""
        sent = {"name": "Second", "gpu_model": "RTX 4090"}
        return int(answered(self.provider.post("/providers/me/machines", sent), 201)["provider_id"])

    def key_id(self) -> str:
        """The id of a scoped key of the renter's."""
        found: str = answered(self.renter.post("/renters/me/keys", {}), 201)["id"]
        return found

    def withdrawal(self) -> str:
        """The id of a withdrawal that waits."""
        self._earn(self.provider)
        asked = self.provider.post("/providers/me/withdraw", {"amount_halala": 1000, "iban": IBAN})
        found: str = answered(asked, 201)["withdrawal_id"]
        return found

    def entry(self) -> int:
        """The id of the credit that the renter started with."""
        page = answered(self.renter.get(f"/renters/{self.renter.id}/transactions"))
        found: int = page["entries"][-1]["id"]
        return found

    def channel(self) -> int:
        """The id of a channel of whoever called last."""
        sent = {"kind": "telegram", "target": CHAT}
        added = self._stack.rest.post("/notifications", sent, key=self.key(self._caller))
        return int(answered(added, 201)["channel"]["id"])

    def delivery(self) -> str:
        """The id of something that could not be sent to the renter."""
        url, delivery_id = "https://1.1.1.1/", f"whd_{next(_numbers)}"
        ended = {"event": WebhookEvent.JOB_FAILED, "url": url, "body": "{}", "status": "failed"}
        row = {"delivery_id": delivery_id, "renter_id": self.renter.id, "created_at_ms": 1, **ended}

        def write(conn: Connection) -> None:
            renters.set_webhook(conn, self.renter.id, url, None)
            conn.execute(insert(webhook_deliveries).values(**row))

        self._stack.edge.loop.run(self._stack.server.database.write(write))
        return delivery_id

    @staticmethod
    def email() -> str:
        return f"somebody{next(_numbers)}@example.sa"

    def _earn(self, provider: PollDaemon) -> None:
        """Let the provider earn more than the least withdrawal."""
        answered(self._stack.admin.patch("/admin/pricing/rendering", {"rate_halala": 10_000}))
        job = self.renter.submit({"job_type": "rendering", "duration_minutes": 0.2}, provider_id=provider.id)
        assert self._stack.next_job(provider)["id"] == job["id"]
        # Short of the twelve seconds that it may run: at the deadline the clock's own look may come first.
        self._stack.clock.advance(11)
        provider.result(job["id"])


class Still(Scene):
    """A scene for calls that change nothing.

    There is one of everything, and the one job runs, whatever is asked for.
    """

    def __init__(self, market: LocalMarket) -> None:
        super().__init__(market)
        self._withdrawal, self._key_id = super().withdrawal(), super().key_id()
        self._job = super().job("running")
        self._channels: dict[str, int] = {}

    def channel(self) -> int:
        if self._caller not in self._channels:
            self._channels[self._caller] = super().channel()
        return self._channels[self._caller]

    def job(self, state: str) -> int:
        return self._job

    def question(self) -> Json:
        return HELLO

    def call_of(self, path: str) -> Json:
        return (BODIES | SOUNDS)[path]

    def key_id(self) -> str:
        return self._key_id

    def withdrawal(self) -> str:
        return self._withdrawal
