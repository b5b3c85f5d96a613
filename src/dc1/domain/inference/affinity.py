"""Calls that share what an engine keeps of earlier ones, so that they are best answered by the same engine."""

from collections.abc import Iterable
from hashlib import blake2b

from dc1.domain.base.json_types import JsonObject, JsonValue, compact

_KEYS = ("prompt_cache_key", "user")

# A shorter beginning is read faster than it is worth to wait behind others for; behind a longer one calls may differ.
_PREFIX_CHARACTERS = 1_024

# The system's words and the first of the user, which stay when a conversation goes on.
_FIRST_MESSAGES = 2
# Where other APIs than chats have what comes before a conversation.
_BEFORE = ("system", "instructions")


def shared_by(body: JsonObject) -> bytes:
    """Return what a call has in common with those that belong to it, empty for one that belongs to no other."""
    for name in _KEYS:
        value = body.get(name)
        if isinstance(value, str) and value:
            return _digest(f"{name} {value}".encode("utf-8", "surrogatepass"))
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(user, str) and user:
        return _digest(f"user {user}".encode("utf-8", "surrogatepass"))
    prefix = _beginning(body)[:_PREFIX_CHARACTERS]
    return _digest(prefix.encode("utf-8", "surrogatepass")) if len(prefix) == _PREFIX_CHARACTERS else b""


def _beginning(body: JsonObject) -> str:
    """Return what an engine reads first of a call."""
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return prompt
    conversation = body.get("messages") or body.get("input")
    before: list[JsonValue] = [body[name] for name in _BEFORE if body.get(name)]
    said = conversation[:_FIRST_MESSAGES] if isinstance(conversation, list) else []
    # Texts of which vectors are made have nothing to do with each other.
    return compact([*before, *(each for each in said if isinstance(each, dict))])


def affinity_of(renter_id: int, shared: bytes) -> bytes | None:
    """Return what decides which engine is the one for a call, None where none is.

    Calls of two renters never belong together: how fast an answer begins would tell one what the other has asked.
    """
    return b"%d " % renter_id + shared if shared else None


def preferred(affinity: bytes, provider_ids: Iterable[int]) -> int | None:
    """Return who of the providers is the one for such calls: the same as long as it is among them, whoever else is."""
    # The highest of all digests: nothing is remembered, and who comes or goes moves its own calls only.
    return max(provider_ids, key=lambda provider_id: _digest(affinity + b"%d" % provider_id), default=None)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
