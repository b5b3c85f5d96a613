"""LiteLLM's proxy, installed for the bench alone: its requirements are not ours."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bench.children import installed, program
from bench.completions.stub_engine import MODEL
from dc1.testing.edge import free_port

VERSION = "1.100.5"
_REQUIREMENT = f"litellm[proxy]=={VERSION}"
_STARTS_IN_SECONDS = 120


@asynccontextmanager
async def litellm_proxy(directory: Path, engine_port: int) -> AsyncIterator[tuple[int, int]]:
    """Serve the engine's model as a proxy does by default, with one process; yields its port and process id."""
    litellm, port = await installed("litellm", _REQUIREMENT), free_port()
    model = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{engine_port}/v1", "api_key": "none"}
    config = directory / "litellm.json"
    # JSON is YAML too.
    config.write_text(json.dumps({"model_list": [{"model_name": MODEL, "litellm_params": model}]}))
    command = [str(litellm), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    async with program(command, directory / "litellm.log") as pid:
        await _until_ready(port)
        yield port, pid


async def _until_ready(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(_STARTS_IN_SECONDS):
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/health/liveliness")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
