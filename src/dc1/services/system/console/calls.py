"""The page of the console and the files that it loads."""

from functools import cache
from typing import Any

from google.api import httpbody_pb2

from dc1.assets import asset
from dc1.domain.errors import file_not_found
from dc1.services.api.call import current_call
from dc1.services.system.console.site import Site
from dcp.v1 import system_service_pb2 as pb

# Nothing inline, nothing from elsewhere, in nobody's frame; and no script can turn text into markup.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_PAGE_HEADERS = {
    # Asked for anew each time: what it names changes with every release, and it is small.
    "cache-control": "no-cache",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_NOT_AT_ALL = "no-store"


@cache
def _site() -> Site:
    # Once a process: every market that a process serves sends the same files.
    return Site.load(asset("web"))


def asset_path(name: str) -> str:
    """Return the address of a file of web/, for pages that are not among them."""
    return f"/assets/{_site().digest}/{name}"


class ConsoleCalls:
    """Answers without a credential, and with nothing that is anybody's."""

    async def GetConsole(self, request: pb.GetConsoleRequest, context: Any) -> httpbody_pb2.HttpBody:
        """Send the page."""
        current_call().headers.update(_PAGE_HEADERS)
        return httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=_site().page)

    async def GetAsset(self, request: pb.GetAssetRequest, context: Any) -> httpbody_pb2.HttpBody:
        """Send one file that the page loads."""
        site = _site()
        file = site.files.get(request.file)
        if file is None:
            raise file_not_found()
        headers = current_call().headers
        # A page of before an update, or of a replica that has not got it yet, is given what there is, but not to keep.
        headers["cache-control"] = _FOR_GOOD if request.digest == site.digest else _NOT_AT_ALL
        headers["x-content-type-options"] = "nosniff"
        return httpbody_pb2.HttpBody(content_type=file.media_type, data=file.data)
