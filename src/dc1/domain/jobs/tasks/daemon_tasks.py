"""Orders as tasks for daemons that run scripts and know nothing of job types."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.base.numeric import as_number
from dc1.domain.jobs.container_spec import named_images, ordered_command
from dc1.domain.jobs.placement import TaskObstacle
from dc1.domain.jobs.states import ANSWERING_TYPES, JobType
from dc1.domain.jobs.tasks.shell_scripts import command_script

LONGEST_RUN_SECONDS = 900
"""When such a daemon stops a container, whatever it was allowed."""

SHORTEST_SCRIPT = 11
"""Characters: what is shorter is no script for such a daemon, which then runs a benchmark instead."""

UNAVAILABLE_STATUS = 69
"""The exit status by which the programs of this package say that the machine cannot do this kind of work."""

RERUN_PAUSES_SECONDS = (10, 30, 90)
"""How long such a daemon waits before it runs a container that failed once more."""

# What such daemons keep on their disks, and a small model of those that draw in one step.
_MODEL_TO_ANSWER = "TinyLlama/TinyLlama-1.1B-Chat-v1.0"
_MODEL_TO_DRAW = "stabilityai/sdxl-turbo"

_SHELL, _PYTHON, _DEFAULT = "sh /dc1/job/task.py", "python3 /dc1/job/task.py", "python /dc1/job/task.py"
_PROGRAMS = Path(__file__).with_name("programs")
_PLACE = "@ORDER@"


@dataclass(frozen=True, slots=True)
class DaemonTask:
    """A task as it is handed out: the document, None for a benchmark, and how its script is run in the container."""

    document: JsonObject | None
    job_cmd: str = ""

    @property
    def text(self) -> str | None:
        """The document as the text that is signed."""
        return None if self.document is None else compact(self.document)


@dataclass(frozen=True, slots=True)
class Ordered:
    """What of an order says what is to be run; the container spec has its defaults."""

    job_type: JobType
    model: str | None
    container_spec: JsonObject
    params: JsonObject | None = None
    task_spec: JsonValue = None
    env_vars: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> JsonValue:
        """The command of the order, None where the image's own program is to run."""
        return ordered_command(self.container_spec, self.params)

    @property
    def has_image(self) -> bool:
        """Whether the renter named an image, which then knows by itself what to do."""
        return any(named_images(self.container_spec, self.params))

    @property
    def runs_our_program(self) -> bool:
        """Whether the script is one of this package's, whose exit status no renter can choose."""
        draws = self.job_type is JobType.IMAGE_GENERATION and not self.command and not self.has_image
        return self.job_type in ANSWERING_TYPES or draws


def obstacle(order: Ordered, run_seconds: int) -> TaskObstacle | None:
    """Return why an order cannot be given to such a daemon, or None."""
    if daemon_task(order) is None:
        return TaskObstacle.NO_SCRIPT
    return time_obstacle(run_seconds)


def time_obstacle(run_seconds: int) -> TaskObstacle | None:
    """Return whether a run is too long for such a daemon."""
    return TaskObstacle.TOO_LONG if run_seconds > LONGEST_RUN_SECONDS else None


def daemon_task(order: Ordered) -> DaemonTask | None:
    """Return an order as such a daemon carries it out, None where it cannot.

    It depends on nothing but the order, so that a code of its text can be checked again.
    """
    if order.job_type is JobType.BENCHMARK:
        return DaemonTask(None)
    if order.job_type is JobType.VLLM_SERVE:
        return None if not order.model else DaemonTask({"model": order.model})
    if order.job_type in ANSWERING_TYPES:
        return _program("answer.py", _conversation(order))
    if order.runs_our_program:
        return _program("draw.py", _drawing(order))
    return _command_task(order)


def seconds_of_one_run(seconds: float, reruns: int) -> float:
    """Return what of the seconds that such a daemon reports is one run: what it ran again of itself nobody ordered."""
    reruns = min(max(0, reruns), len(RERUN_PAUSES_SECONDS))
    return max(0.0, seconds - sum(RERUN_PAUSES_SECONDS[:reruns])) / (reruns + 1)


def _command_task(order: Ordered) -> DaemonTask | None:
    command = order.command
    words = command if isinstance(command, list) else [command]
    if command and all(isinstance(word, str) for word in words):
        script = command_script(command, _environment(order))  # type: ignore[arg-type]  # text or a list of it
        return None if script is None else DaemonTask({"script": script}, _SHELL)
    # A script of the renter's own, in the form that these daemons have always had; it is run as it is, and nothing
    # sets its variables.
    own = order.task_spec.get("script") if isinstance(order.task_spec, dict) else None
    if isinstance(own, str) and len(own) >= SHORTEST_SCRIPT and not order.env_vars:
        return DaemonTask({"script": own}, _DEFAULT)
    return None


def _environment(order: Ordered) -> dict[str, str]:
    # As daemons on the stream set them.
    return {
        **order.env_vars,
        "DC1_PARAMS": compact(order.params or {}),
        "DC1_TASK_SPEC": compact(order.task_spec),
    }


def _program(name: str, order: JsonObject | None) -> DaemonTask | None:
    if order is None:
        return None
    data = base64.b64encode(compact(order).encode(errors="surrogatepass")).decode()
    return DaemonTask({"script": _source(name).replace(_PLACE, data)}, _PYTHON)


@cache
def _source(name: str) -> str:
    return (_PROGRAMS / name).read_text(encoding="utf-8")


def _conversation(order: Ordered) -> JsonObject | None:
    params = order.params or {}
    messages = params.get("messages")
    if not messages:
        system = params.get("system")
        lead: list[JsonValue] = [{"role": "system", "content": system}] if isinstance(system, str) and system else []
        messages = [*lead, {"role": "user", "content": params.get("prompt")}]
    # Text alone: neither engine is given tools or pictures by the program.
    if not isinstance(messages, list) or not all(map(_is_text_message, messages)) or params.get("tools"):
        return None
    top_p = as_number(params.get("top_p"))
    return {
        "model": order.model or _MODEL_TO_ANSWER,
        "messages": messages,
        "max_tokens": int(_within(params.get("max_tokens"), 512, 1, 8192)),
        "temperature": _within(params.get("temperature"), 0.7, 0, 2),
        "options": {} if top_p is None or not 0 < top_p <= 1 else {"top_p": float(top_p)},
    }


def _is_text_message(message: JsonValue) -> bool:
    return isinstance(message, dict) and all(isinstance(message.get(key), str) for key in ("role", "content"))


def _drawing(order: Ordered) -> JsonObject | None:
    params = order.params or {}
    prompt = params.get("prompt")
    if not isinstance(prompt, str):
        return None
    # By the names of the pipeline; what is out of its range is lowered, as one cannot ask back.
    sizes = (name for name in ("width", "height") if name in params)
    options: JsonObject = {name: int(_within(params[name], 512, 64, 2048)) // 8 * 8 for name in sizes}
    steps = params.get("steps", params.get("num_inference_steps"))
    if steps is not None:
        options["num_inference_steps"] = int(_within(steps, 1, 1, 150))
    return {"model": order.model or _MODEL_TO_DRAW, "prompt": prompt, "options": options}


def _within(value: JsonValue, default: float, least: float, most: float) -> float:
    number = as_number(value)
    return default if number is None else min(most, max(least, float(number)))
