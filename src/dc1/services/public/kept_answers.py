"""Answers that are the same for everybody: built once a version of what they tell, and named by an ETag."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from dc1.services.api.call import current_call

M = TypeVar("M", bound=Message)

_MOST_KEPT = 64
"""Questions of one version: whoever asks for pages or prices of his own making is answered as before."""

_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class _Kept(Generic[M]):
    message: M
    etag: str


class KeptAnswers(Generic[M]):
    """The answers of one method, by its request; those of an older version are forgotten."""

    def __init__(self) -> None:
        self._version: object = None
        self._kept: dict[bytes, _Kept[M]] = {}

    def answer(self, version: object, request: Message, build: Callable[[], M]) -> M:
        """Return the answer to the running call, with its ETag: nothing but 304 to a caller of REST who has it.

        A version is anything that equals itself until the answers change.
        """
        kept = self._of(version, request.SerializeToString(deterministic=True), build)
        call = current_call()
        call.headers["etag"] = kept.etag
        if call.is_rest and _names(call.metadata.get("if-none-match", ""), kept.etag):
            call.http_status = _NOT_MODIFIED
            return type(kept.message)()
        return kept.message

    def _of(self, version: object, asked: bytes, build: Callable[[], M]) -> _Kept[M]:
        if version != self._version:
            self._version, self._kept = version, {}
        kept = self._kept.get(asked)
        if kept is None:
            message = build()
            # Of what is said and not of the version, which is counted by each server for itself. Weak, for the edge
            # sends it compressed as well.
            digest = hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()[:32]
            kept = _Kept(message, f'W/"{digest}"')
            if len(self._kept) < _MOST_KEPT:
                self._kept[asked] = kept
        return kept


def _names(if_none_match: str, etag: str) -> bool:
    """Tell whether an If-None-Match names an answer; compared weakly, as RFC 9110 has it."""
    wanted = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in wanted or etag.removeprefix("W/") in wanted
