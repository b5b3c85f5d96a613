"""SystemService: what the service is and how it stands."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Self

import structlog
from google.api import httpbody_pb2

from dc1.assets import asset
from dc1.domain.base.clock import Clock, iso
from dc1.domain.base.languages import ARABIC, ENGLISH, Language, preferred
from dc1.domain.errors import ApiError, database_unavailable, database_unwritable
from dc1.services.api.call import current_call
from dc1.services.api.parts import Parts
from dc1.services.system.console import ConsoleCalls, asset_path
from dc1.services.system.documentation import documentation_page
from dc1.services.system.installer import InstallerCalls
from dc1.storage.money import counters
from dcp.v1 import system_service_pb2 as pb
from dcp.v1.system_service_pb2_grpc import SystemServiceServicer

_NAME = "dc1"
_DOCS = "/docs/openapi.yaml"
# Not the 60 s that the edge gives a call: to a probe a database that slow is as good as none.
_PATIENCE_SECONDS = 3.0
# Less, so that a write that hangs is called that and not a database that does not answer.
_WRITE_PATIENCE_SECONDS = 2.0
_NOTHING_FROM_OUTSIDE = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Vitals:
    """Counts that only a working service can give."""

    providers_total: int
    providers_online: int
    jobs_queued: int
    jobs_running: int


class SystemServicer(InstallerCalls, ConsoleCalls, SystemServiceServicer):
    """Answers without a credential. `read_vitals` asks the database, and raises when that fails or takes no writes."""

    def __init__(
        self,
        clock: Clock,
        version: str,
        read_vitals: Callable[[], Awaitable[Vitals]],
        openapi: bytes,
        installer_base_url: str,
    ) -> None:
        super().__init__(installer_base_url)
        self._clock = clock
        self._version = version
        self._read_vitals = read_vitals
        self._openapi = openapi
        self._making_page: dict[Language, asyncio.Task[bytes]] = {}

    @classmethod
    def of(cls, parts: Parts) -> Self:
        """Return the servicer of a whole server, whose counts come from its fleet and its database."""
        plane = parts.plane

        async def read_vitals() -> Vitals:
            # First: where nothing can be written the counts matter to nobody, and may take long.
            if (reason := await plane.db.why_unwritable(_WRITE_PATIENCE_SECONDS)) is not None:
                raise database_unwritable(reason)
            counts = await plane.db.read(counters.read)
            return Vitals(
                len(plane.fleet),
                plane.fleet.lists.online(),
                counts.jobs_queued,
                counts.jobs_running,
            )

        openapi = asset("gen/openapi.yaml").read_bytes()
        return cls(plane.clock, version("dc1"), read_vitals, openapi, plane.config.installer_base_url)

    async def GetService(self, request: pb.GetServiceRequest, context: Any) -> pb.GetServiceResponse:
        """Name the service."""
        return pb.GetServiceResponse(
            service=_NAME, version=self._version, status="ok", docs=_DOCS, timestamp=iso(self._clock.now_ms())
        )

    async def GetHealth(self, request: pb.GetHealthRequest, context: Any) -> pb.GetHealthResponse:
        """Count through the database; whatever goes wrong there is a degraded service."""
        try:
            vitals = await asyncio.wait_for(self._read_vitals(), _PATIENCE_SECONDS)
        except ApiError:
            raise
        # Anything: a probe is told 503 and `degraded` (contract 3.1) and never a 500, and the reason goes to the log
        # only.
        except Exception as error:
            _log.warning("database_not_answering", exc_info=error)
            raise database_unavailable() from None
        return pb.GetHealthResponse(
            status="ok",
            timestamp=iso(self._clock.now_ms()),
            db="ok",
            providers=pb.FleetHealth(total=vitals.providers_total, online=vitals.providers_online),
            jobs=pb.JobHealth(queued=vitals.jobs_queued, running=vitals.jobs_running),
        )

    async def GetOpenApi(self, request: pb.GetOpenApiRequest, context: Any) -> httpbody_pb2.HttpBody:
        """Send the generated file as it is."""
        return httpbody_pb2.HttpBody(content_type="application/yaml", data=self._openapi)

    async def GetDocumentation(self, request: pb.GetDocumentationRequest, context: Any) -> httpbody_pb2.HttpBody:
        """Send the same for people to read."""
        call = current_call()
        language = _named(request.language) or preferred(call.metadata.get("accept-language", ""))
        if language not in self._making_page:
            # Half a second's work, done once: a hundred strangers who are the first would make it a minute's.
            making = asyncio.create_task(asyncio.to_thread(_page, self._openapi, language))
            self._making_page[language] = making
        # The one script is a file of ours, and no other may run, should a text ever be put into the page unescaped.
        call.headers["content-security-policy"] = _NOTHING_FROM_OUTSIDE
        call.headers["content-language"] = language
        if not request.language:
            call.headers["vary"] = "Accept-Language"
        # Shielded: who made it begin may leave, and the others wait for it still.
        page = await asyncio.shield(self._making_page[language])
        return httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=page)


def _page(openapi: bytes, language: Language) -> bytes:
    return documentation_page(openapi, language, asset_path("docs.js"))


def _named(language: str) -> Language | None:
    return ARABIC if language == ARABIC else ENGLISH if language else None
