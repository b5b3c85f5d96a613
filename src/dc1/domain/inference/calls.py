"""A call under /v1 as it was sent, and what reading one shares whatever it asks for."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from urllib.parse import urlsplit

from dc1.domain import errors
from dc1.domain.access.provider_choice import ProviderChoice
from dc1.domain.access.webhooks import is_public_address
from dc1.domain.base.json_members import members
from dc1.domain.base.json_types import (
    MAX_VALUES,
    JsonObject,
    JsonValue,
    compact,
    has_halves,
    has_more_values,
    is_deeper,
)
from dc1.domain.base.numeric import as_integer, as_number
from dc1.domain.errors import FieldViolation
from dc1.domain.inference import call_routing
from dc1.domain.inference.call_routing import ANYWHERE, CallRouting
from dc1.domain.jobs.placement import Requirement
from dc1.domain.jobs.states import JobType

MOST_RETRIES: Final = 2
"""So often a call goes to another provider, whose caller waits meanwhile."""

MAX_TOKENS: Final = 8192
MAX_ANSWERS: Final = 128
DEFAULT_MAX_TOKENS: Final = 4096
"""Where a stream is cut whose call says nothing of it, and what is held for it."""

_MAX_MODEL = 200
_MAX_DEPTH = 60
N_PREDICT: Final = "n_predict"
"""What llama.cpp takes for `max_tokens` before anything else: of an answer in one piece the rest would be free."""

_ADDRESSES = frozenset({"url", "image_url", "audio_url", "video_url", "file_url"})
_OF_HOUSES = frozenset({"local", "localhost", "internal", "intranet", "lan", "home", "corp", "private", "arpa"})
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_SCHEME_CHARS = 100
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\x00-\x20-]*")
_HOST = re.compile(r"[a-z0-9_.-]+")
_LONGEST_HOST = 253
# What readers of addresses pass over, within them too: `fi\tle:` is `file:` to many.
_PASSED_OVER = re.compile(r"[\x00-\x20]")
# Where a call names servers of tools, and under which key their address stands.
_SERVERS: Final = {"tools": "server_url", "mcp_servers": "url"}
_HTTP: Final = re.compile("https?://", re.IGNORECASE)
# What a model, a tool or a page said before: nobody fetches it for being there.
_SAID_BEFORE = frozenset({"action", "annotations", "citations", "input"})
_OTHERS_THAN_N = ("best_of", "n_cmpl")
# What decides how tokens are chosen, counted or kept; numbers and flags are no text anyhow.
NOT_READ = frozenset(
    {
        "encoding_format",
        "logit_bias",
        "metadata",
        "modalities",
        "model",
        "prompt_cache_key",
        call_routing.FIELD,
        "safety_identifier",
        "service_tier",
        "stop",
        "stream_options",
        "user",
    }
)


@dataclass(frozen=True, slots=True)
class InferenceCall:
    """An acceptable call: its JSON as it was sent, and the path of an engine's API that takes it.

    `prompt_bytes` bounds the tokens of what the model reads of it, and `max_tokens` those of all its `answers`
    together. `needs_bodies` is set where its answer cannot be made of a job's result. `wants_usage` is whether a stream
    is to tell the tokens in a chunk of their own. `shared` is what it has in common with calls that the same engine
    answers best, and `routing` what it says of who should answer it, which no engine is sent.
    """

    model: str
    path: str
    body: str
    prompt_bytes: int
    max_tokens: int
    stream: bool = False
    answers: int = 1
    needs_bodies: bool = False
    wants_usage: bool = False
    shared: bytes = b""
    routing: CallRouting = ANYWHERE
    is_sound: bool = False
    """Whether its answer is bytes as they come, and no events."""

    retries: int = MOST_RETRIES
    """How often it may go to another provider yet."""

    @property
    def requirement(self) -> Requirement:
        """What it asks of a provider."""
        return replace(
            requirement_of_model(self.model),
            path=self.path,
            needs_bodies=self.needs_bodies,
            choice=self.routing.choice,
            order=self.routing.order,
            speed=self.routing.speed,
        )

    def allowed(self, choice: ProviderChoice) -> Self:
        """Return the call for those providers that are allowed beside itself."""
        return replace(self, routing=replace(self.routing, choice=self.routing.choice.within(choice)))


def requirement_of_model(model: str) -> Requirement:
    """Return what any call of a model asks of a provider, whatever its path."""
    return Requirement(model=model.lower(), job_type=JobType.LLM_INFERENCE, at_once=True)


def read_body(sent: bytes, max_bytes: int) -> tuple[str, JsonObject]:
    """Return the JSON object of a body as text and as it is read.

    Raises:
        malformed_json: It is none, or one that readers read differently.
        invalid_field: It is in no UTF-8.
        request_body_too_large: It has more bytes or values than are taken.
    """
    if len(sent) > max_bytes:
        raise errors.request_body_too_large()
    try:
        text = sent.decode()
    except UnicodeDecodeError:
        # Such as of Windows: said by name, for to its sender it is JSON.
        raise errors.invalid_field("body", "must be JSON in UTF-8") from None
    try:
        if has_more_values(text, MAX_VALUES):
            raise errors.request_body_too_large()
        body = {key: member.value for key, member in members(text, strict=True).items()}
    except ValueError:
        raise errors.malformed_json() from None
    # To readers in Go a key is the same in any case of its letters, and the last one stands.
    if len(body) > len({name.casefold() for name in body}):
        raise errors.malformed_json()
    # Deeper than this no answer that shows the job could say it.
    if has_halves(text, body) or is_deeper(body, _MAX_DEPTH):
        raise errors.malformed_json()
    return text, body


def model_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with the name of a model."""
    model = body["model"]
    if not isinstance(model, str) or len(model) > _MAX_MODEL:
        yield FieldViolation("model", f"must be a string of at most {_MAX_MODEL} characters")


def generation_faults(body: JsonObject, limits: Collection[str], least_tokens: int = 1) -> Iterator[FieldViolation]:
    """Yield what is wrong with the keys by which text is generated; `limits` are those that say how much."""
    for name in limits:
        if body.get(name) is not None and not is_within(as_integer(body[name]), least_tokens, MAX_TOKENS):
            yield FieldViolation(name, f"must be an integer from {least_tokens} to {MAX_TOKENS}")
    if body.get("temperature") is not None and not is_within(as_number(body["temperature"]), 0, 2):
        yield FieldViolation("temperature", "must be a number from 0 to 2")
    if not isinstance(body.get("stream"), bool | None):
        yield FieldViolation("stream", "must be true or false")
    if body.get("n") is not None and not is_within(as_integer(body["n"]), 1, MAX_ANSWERS):
        yield FieldViolation("n", f"must be an integer from 1 to {MAX_ANSWERS}")
    for name in _OTHERS_THAN_N:
        if body.get(name) is not None and as_integer(body[name]) != (as_integer(body.get("n")) or 1):
            # What is made and thrown away nobody sees, and so nobody would pay.
            yield FieldViolation(name, "must be as many as n")


def address_faults(parts: JsonValue, field: str) -> Iterator[FieldViolation]:
    """Yield what is wrong with the addresses of pictures and other media in the parts of a message.

    An engine fetches them from inside its owner's network, for whoever calls: names of that network and files are none
    of a caller's business. What a public name leads to is the engine's to look at.
    """
    if any(not is_for_everybody(address) for address in _addresses_in(parts)):
        yield FieldViolation(field, "must name media by data: or by http at a public address")


def server_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with the servers of tools that an engine is to call, from inside its owner's network."""
    for name, servers in body.items():
        # In any letters, as some engines take them.
        wanted = _SERVERS.get(name.casefold())
        for place, server in enumerate(servers if wanted and isinstance(servers, list) else ()):
            for key, address in server.items() if isinstance(server, dict) else ():
                # Not as of media, which may be the bytes themselves: of those "intranet" might be some.
                is_public = isinstance(address, str) and _HTTP.match(address) and is_for_everybody(address)
                if key.casefold() == wanted and isinstance(address, str) and not is_public:
                    yield FieldViolation(f"{name}.{place}.{key}", "must be http at a public address")


def is_for_everybody(address: str) -> bool:
    """Tell whether an address is no file and no machine of somebody's network, as far as it says so itself."""
    # Not of all of it: a picture by `data:` has millions of characters, and every other call waits meanwhile.
    scheme = _SCHEME.match(_PASSED_OVER.sub("", address[:_SCHEME_CHARS]))
    if scheme is None:
        # Some engines take the bytes alone, and what is none of those for the name of a file.
        return _BASE64.fullmatch(address) is not None
    if scheme[1].lower() == "data":
        return True
    # Where a backslash is, readers differ over which of two names is the host.
    if scheme[1].lower() not in ("http", "https") or "\\" in address:
        return False
    try:
        said = urlsplit(_PASSED_OVER.sub("", address)).hostname or ""
        # As it is looked up: the dot and every letter and digit have other forms, and some signs are passed over. No
        # name is longer, and one that is would take a second to write so.
        host = said.encode("idna").decode() if len(said) <= _LONGEST_HOST else ""
    except ValueError:
        return False
    # What ends in a number is an IP address, however it is written.
    name, _, last = host.rstrip(".").rpartition(".")
    if ":" in host or last.isdecimal() or last.startswith("0x"):
        return is_public_address(host)
    return bool(name) and last not in _OF_HOUSES and _HOST.fullmatch(host) is not None


def _addresses_in(value: JsonValue) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _addresses_in(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, str):
                # In any case of its letters, as readers in Go have it.
                yield from (each,) if name.casefold() in _ADDRESSES else ()
            elif name not in _SAID_BEFORE:
                yield from _addresses_in(each)


def is_missing(value: JsonValue) -> bool:
    """Tell whether a key that has to be there says nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def is_within(number: Any, low: int, high: int) -> bool:
    """Tell whether a number is there, and in its range."""
    return number is not None and low <= number <= high


def others_size(body: JsonObject, counted: Collection[str]) -> int:
    """Return the bytes of what a model reads of a call beside the keys that are counted apart.

    A key is taken to be read, as tools and schemas are, unless it is known not to be: an engine may know more keys.
    """
    others = (value for name, value in body.items() if name not in counted and name not in NOT_READ)
    return sum(text_size(value) for value in others if isinstance(value, str | list | dict) and value)


def text_size(value: JsonValue) -> int:
    """Return the bytes of a text, and of anything else as JSON."""
    text = value if isinstance(value, str) else compact(value)
    return len(text) if text.isascii() else len(text.encode())


def is_tokens(value: JsonValue) -> bool:
    """Tell whether a value is a text that its caller has made tokens of, by their numbers."""
    return isinstance(value, list) and bool(value) and all(type(each) is int and each >= 0 for each in value)


def inputs_size(value: JsonValue) -> int:
    """Return the bytes of texts, where a number stands for a token that the caller has made itself."""
    if isinstance(value, list):
        return sum(map(inputs_size, value))
    return 1 if isinstance(value, int | float) else text_size(value)
