"""Texts to compare: what calls of /v1/embeddings and /v1/rerank may say, and what is an answer to them."""

from collections.abc import Iterator
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_integer
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import address_faults, inputs_size, is_tokens, model_faults, others_size, text_size

MAX_INPUTS: Final = 2048
_ENCODINGS: Final = ("float", "base64")
_MOST_DIMENSIONS: Final = 65_536
_BYTES_OF_NUMBER: Final = 4


def embedding_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call for embeddings whose required keys are there."""
    yield from model_faults(body)
    if not _is_input(body["input"]):
        text = f"must be a text, an array of tokens, or an array of 1 to {MAX_INPUTS} such, none of them empty"
        yield FieldViolation("input", text)
    # Some engines take a conversation in its place, and fetch what is named in it.
    yield from address_faults(body.get("messages"), "messages")
    if body.get("encoding_format") not in (None, *_ENCODINGS):
        yield FieldViolation("encoding_format", f"must be one of {', '.join(_ENCODINGS)}")
    if body.get("dimensions") is not None and not _is_count(body["dimensions"], _MOST_DIMENSIONS):
        yield FieldViolation("dimensions", f"must be an integer from 1 to {_MOST_DIMENSIONS}")


def embedding_prompt_bytes(body: JsonObject) -> int:
    """Return the bytes that bound the tokens of the inputs."""
    return inputs_size(body.get("input")) + others_size(body, ("input",))


def embedding_answer_fault(asked: JsonObject, answer: JsonObject) -> str | None:
    """Return what is wrong with an answer: it has not exactly one embedding for each input; None when it has."""
    wanted, given = asked.get("input"), answer.get("data")
    inputs = len(wanted) if isinstance(wanted, list) and not is_tokens(wanted) else 1
    found = given if isinstance(given, list) else []
    vectors = [each.get("embedding") for each in found if isinstance(each, dict)]
    if len(found) != inputs or not all(isinstance(vector, str | list) and vector for vector in vectors):
        return f"the engine gave no embedding for each of {inputs} inputs"
    places = sorted(_places(found))
    return None if places == list(range(inputs)) else "the engine gave embeddings of other inputs"


def unmet_dimensions(asked: JsonObject, answer: JsonObject) -> str | None:
    """Return that embeddings have not as many numbers as were asked for, which engines pass over; None when they do."""
    wanted, found = as_integer(asked.get("dimensions")), answer.get("data")
    first = found[0] if isinstance(found, list) and found else None
    vector = first.get("embedding") if isinstance(first, dict) else None
    if wanted is None or vector is None:
        return None
    made = len(vector) if isinstance(vector, list) else len(str(vector).rstrip("=")) * 3 // 4 // _BYTES_OF_NUMBER
    return None if made == wanted else f"the model makes embeddings of {made} numbers and not of {wanted}"


def rerank_faults(body: JsonObject) -> Iterator[FieldViolation]:
    """Yield what is wrong with a call to rank documents whose required keys are there."""
    yield from model_faults(body)
    if not isinstance(body["query"], str):
        yield FieldViolation("query", "must be a string")
    documents = body["documents"]
    if not isinstance(documents, list) or not 1 <= len(documents) <= MAX_INPUTS:
        yield FieldViolation("documents", f"must be an array of 1 to {MAX_INPUTS} texts")
    elif not all(_document_text(each) is not None for each in documents):
        yield FieldViolation("documents", "must be texts, or objects with a text")
    # Beside its text a document may have pictures.
    yield from address_faults(documents, "documents")
    if body.get("top_n") is not None and not _is_count(body["top_n"], MAX_INPUTS):
        yield FieldViolation("top_n", f"must be an integer from 1 to {MAX_INPUTS}")


def rerank_prompt_bytes(body: JsonObject) -> int:
    """Return the bytes that bound the tokens of what is read: the query is read with each document."""
    query, documents = body.get("query"), body.get("documents")
    read = documents if isinstance(documents, list) else []
    return text_size(query) * len(read) + sum(map(text_size, read)) + others_size(body, ("query", "documents"))


def rerank_answer_fault(asked: JsonObject, answer: JsonObject) -> str | None:
    """Return what is wrong with an answer: it does not rank as many documents as were asked for; None when it does."""
    documents, results = asked.get("documents"), answer.get("results")
    sent = len(documents) if isinstance(documents, list) else 0
    wanted = min(sent, as_integer(asked.get("top_n")) or sent)
    found = results if isinstance(results, list) else []
    places = _places(found)
    # Some know no `top_n` and rank all; whoever asked for less than all can leave the rest.
    if len(found) not in (wanted, sent) or len(set(places)) != len(found) or not all(0 <= at < sent for at in places):
        return f"the engine did not rank {wanted} of {sent} documents"
    is_ranked = all(isinstance(each, dict) and _score(each) is not None for each in found)
    return None if is_ranked else "the engine ranked documents without a score"


def _is_input(value: JsonValue) -> bool:
    if isinstance(value, list):
        return is_tokens(value) or (
            1 <= len(value) <= MAX_INPUTS and all(is_tokens(each) or _is_text(each) for each in value)
        )
    return _is_text(value)


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: JsonValue, most: int) -> bool:
    return 1 <= (as_integer(value) or 0) <= most


def _document_text(document: JsonValue) -> str | None:
    text = document.get("text") if isinstance(document, dict) else document
    return text if isinstance(text, str) else None


def _places(found: list[JsonValue]) -> list[int]:
    """Return what the parts of an answer are about; a part that does not say is about what stands at its place."""
    said = [each.get("index", at) if isinstance(each, dict) else None for at, each in enumerate(found)]
    return [place if type(place) is int else -1 for place in said]


def _score(result: JsonObject) -> JsonValue:
    return result.get("relevance_score", result.get("score"))
