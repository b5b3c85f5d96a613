"""Looks at what a machine offers: its cards, a container engine, an engine of inference. Wants `dc1[daemon]`."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from dc1.cli.doctor.checks import Finding
from dc1.daemon.config import DaemonConfig
from dc1.daemon.errors import DaemonError
from dc1.daemon.runners.container.engine import ENGINE_ERRORS, NoEngineError, connect_engine, traits
from dc1.daemon.runners.inference.engine import EngineMissingError, EngineUnavailableError
from dc1.daemon.runners.inference.engine_llamacpp import LlamaCppEngine, LocalModel, bundled_model, model_in
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.daemon.telemetry.nvml import NvmlReader, NvmlReading

_T = TypeVar("_T")
_SECONDS = 20.0
# A model may be as large as the memory, and is read from a disk.
_LOAD_SECONDS = 300.0
_NVIDIA = "0x10de"
# What PCI calls displays and accelerators without one; a card has other functions too, sound for one.
_DISPLAYS = "0x03"
_MOST_NAMED = 3


def driver(devices: Path = Path("/sys/bus/pci/devices")) -> Finding:
    """Look at the cards as the daemon reads them; `devices` is where the kernel lists what is plugged in."""
    reading = _in_time(_read_cards)
    if reading is None:
        # It would keep whoever asks for good, which is one of the ways in which drivers fail.
        return Finding("driver", False, f"It did not answer in {_SECONDS:.0f} s; a restart of the machine may help.")
    problems = "; ".join(reading.problems)
    if reading.driver_version is None:
        if _has_card(devices):
            return Finding("driver", False, f"There is a card of NVIDIA's, but {problems}.")
        return Finding("driver", None, f"{problems}; without a card this machine is offered as a CPU.")
    found = f"{reading.driver_version}, {len(reading.gpus)} GPUs"
    return Finding("driver", not problems and bool(reading.gpus), f"{found}{problems and f'; {problems}'}.")


def container_engine(socket: str | None) -> Finding:
    """Look at the engine at that address, or at one that is found as the daemon finds it."""
    try:
        with closing(connect_engine(socket)) as engine:
            found = traits(engine)
    except (NoEngineError, *ENGINE_ERRORS) as error:
        # None at all is no fault: many machines have none.
        return Finding("containers", False if socket else None, f"{error}; jobs in containers are not taken.")
    gpus = "hands GPUs to jobs" if found.gpus else "has no NVIDIA runtime, so that jobs in it get no GPU"
    return Finding("containers", True, f"Engine {found.version} {gpus}.")


def inference_engine(url: str, api_key: str | None, model: Path | None) -> Finding:
    """Look whether an engine answers as the daemon asks it, and what it serves; with a model file it asks none."""
    try:
        # What a daemon refuses at its start, in its words; key and server are nobody's.
        DaemonConfig(key="none", server="localhost:443", engine_url=url, engine_api_key=api_key, model=model)
    except DaemonError as error:
        return Finding("engine", False, str(error))
    try:
        models = asyncio.run(_models(OpenAIEngine(url, api_key)))
    except EngineUnavailableError as error:
        return Finding("engine", False, f"{error}; prompts are not taken.")
    if not models:
        return Finding("engine", False, "It answers, and serves no model; prompts are not taken.")
    more = f" and {len(models) - _MOST_NAMED} more" if len(models) > _MOST_NAMED else ""
    return Finding("engine", True, f"It serves {', '.join(models[:_MOST_NAMED])}{more}.")


def built_in_engine(file: Path | None) -> Finding:
    """Look whether a daemon without an engine of its owner's could answer prompts itself, with its model or a file's.

    A file is loaded, as by the daemon, which takes the memory that the model needs.
    """
    try:
        (model,) = asyncio.run(_loaded(bundled_model() if file is None else model_in(file)))
    except DaemonError as error:
        return Finding("engine", False, f"{error} Prompts are not taken.")
    except EngineMissingError as error:
        if file is not None:
            return Finding("engine", False, f"{file} is named, and {error}; prompts are not taken.")
        # Who has an engine, or rents out containers alone, needs none.
        return Finding("engine", None, f"No engine is named, and {error}; prompts are not taken.")
    except TimeoutError:
        return Finding("engine", None, f"{file} is still being loaded after {_LOAD_SECONDS:.0f} s.")
    except EngineUnavailableError as error:
        return Finding("engine", False, f"The built-in one cannot be used: {error}; prompts are not taken.")
    return Finding("engine", True, f"The built-in one serves {model}.")


async def _loaded(model: LocalModel | None) -> tuple[str, ...]:
    engine = LlamaCppEngine(model)
    if model is not None and not model.lazy:
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                await engine.prepare()
        except BaseException:
            await engine.aclose()
            raise
    return await _models(engine)


async def _models(engine: OpenAIEngine) -> tuple[str, ...]:
    try:
        return await engine.models()
    finally:
        await engine.aclose()


def _read_cards() -> NvmlReading:
    with closing(NvmlReader()) as reader:
        return reader.read()


def _has_card(devices: Path) -> bool:
    return any(
        (device / "vendor").read_text().strip() == _NVIDIA and (device / "class").read_text().startswith(_DISPLAYS)
        for device in (devices.iterdir() if devices.is_dir() else ())
    )


def _in_time(call: Callable[[], _T]) -> _T | None:
    answers: queue.SimpleQueue[_T] = queue.SimpleQueue()
    # Left behind where it hangs: nothing ends a call of a driver from outside.
    threading.Thread(target=lambda: answers.put(call()), daemon=True).start()
    try:
        return answers.get(timeout=_SECONDS)
    except queue.Empty:
        return None
