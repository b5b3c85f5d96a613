"""The daemon's installer, sent by the market that it is for."""

import asyncio
from typing import Any

from google.api import httpbody_pb2

from dc1.domain.errors import file_not_found
from dc1.services.api.call import current_call
from dc1.services.system.installer.files import SCRIPT, installer_files
from dcp.v1 import system_service_pb2 as pb


class InstallerCalls:
    """Answers without a credential: what it sends is the same for all."""

    def __init__(self, base_url: str) -> None:
        """`base_url` is where machines of others reach this market."""
        self._base_url = base_url.rstrip("/")

    async def GetInstaller(self, request: pb.GetInstallerRequest, context: Any) -> httpbody_pb2.HttpBody:
        """Send the script, or one file that it names.

        Raises:
            file_not_found: there is none of that name.
        """
        # The first call packs them, which takes longer than others may wait.
        files = await asyncio.to_thread(installer_files, self._base_url)
        file = files.get(request.file or SCRIPT)
        if file is None:
            raise file_not_found()
        headers = current_call().headers
        # An update changes them, under the same names.
        headers["cache-control"] = "no-cache"
        headers["x-content-type-options"] = "nosniff"
        return httpbody_pb2.HttpBody(content_type=file.media_type, data=file.data)
