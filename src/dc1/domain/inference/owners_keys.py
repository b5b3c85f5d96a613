"""Keys by which a call would decide over more than its answer: over its engine, and over who else is asked there."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.numeric import as_integer
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.calls import is_within, text_size

MOST_LOGPROBS: Final = 20
"""Alternatives of a token, as OpenAI has them. With all of a vocabulary an answer of one word has megabytes."""

_MOST_STOPS: Final = 64
_MOST_BIASES: Final = 1024
_MOST_STEPS: Final = 150
_LONGEST_SIDE: Final = 4096
_MOST_GRAMMAR_BYTES: Final = 128 * 1024
_MOST_TOOLS_BYTES: Final = 1024 * 1024

_OWNERS: Final = "is for the owner of an engine to decide"
_ONE_MODEL: Final = "is not taken: a call has one model"
_HIDDEN: Final = "must be left out: what a model thinks is paid, and so it is told"

# Of these 0 is the first, and no word for none.
_PLACES: Final = ("id_slot", "slot_id", "data_parallel_rank", "routed_dp_rank")
# What said anything, whatever it says, would be heeded by some engine for others than its caller, or for free.
_REFUSED: Final[Mapping[str, str]] = {
    # Programs that it runs: templates may loop for ever, which stops everybody's calls.
    **dict.fromkeys(("chat_template", "custom_logit_processor", "logits_processors", "debug_config"), _OWNERS),
    **dict.fromkeys(("chat_template_str", "instruction_template", "instruction_template_str"), _OWNERS),
    # Patterns are such programs: one that tries again and again takes for ever, too.
    **dict.fromkeys(("grammar_triggers", "stop_regex"), _OWNERS),
    # Machines that it connects to, from within its owner's network, and what others left there.
    **dict.fromkeys(("kv_transfer_params", "ec_transfer_params", "disaggregated_params"), _OWNERS),
    **dict.fromkeys(("bootstrap_host", "bootstrap_port", "bootstrap_room", "session_params"), _OWNERS),
    **dict.fromkeys(("migration_request", "preserve_cache", "with_cache"), _OWNERS),
    # Who comes first, and in whose place.
    **dict.fromkeys(("priority", *_PLACES), _OWNERS),
    # How much of a picture or a film it reads, and how many answers it makes to throw them away.
    **dict.fromkeys(("mm_processor_kwargs", "media_io_kwargs", "num_beams", "num_return_sequences"), _OWNERS),
    **dict.fromkeys(("generation_config", "beam_width", "return_hidden_states"), _OWNERS),
    # Another model than the one that has a price, some of them loaded from wherever a caller says.
    **dict.fromkeys(("models", "fallbacks", "lora", "lora_path", "lora_request", "draft_model"), _ONE_MODEL),
    **dict.fromkeys(("adapter_id", "adapter_source", "adapter_parameters", "adapters"), _ONE_MODEL),
}
# Others' words for how long an answer may be: of one in one piece what is beyond `max_tokens` would be free. Of what is
# only read they say where it is cut.
_LIMITS: Final = frozenset({"max_new_tokens", "max_length", "max_gen_len", "num_predict"})
# Names under which a template is given what an engine says of itself.
_OF_TEMPLATES: Final = frozenset(
    {"chat_template", "conversation", "max_length", "messages", "padding", "return_dict", "return_tensors"}
    | {"tokenize", "tokenizer_kwargs", "truncation"}
)
LOGPROBS: Final = ("logprobs", "n_probs", "prompt_logprobs", "top_logprobs")
"""By which a call asks for how likely tokens were, in anybody's words."""

_STOPS: Final = ("bad_words", "dry_sequence_breakers", "samplers", "stop", "stop_sequences", "stop_token_ids")
# Rules that are made a machine of before a word is said, while everybody waits.
_GRAMMARS: Final = (
    *("ebnf", "grammar", "grammar_string", "guided_choice", "guided_grammar", "guided_json", "guided_regex"),
    *("json_schema", "output_config", "regex", "regex_pattern", "response_format", "structured_outputs", "text"),
)
_STEPS: Final = ("num_inference_steps", "sample_steps", "step", "steps")
_SIDES: Final = ("height", "width")
_LONGEST_SIZE: Final = 64
_SIDES_IN: Final = re.compile(r"\d[\d_]*")
_LOOKED_AT: Final = frozenset(
    {*_REFUSED, *_LIMITS, *LOGPROBS, *_STOPS, *_GRAMMARS, *_STEPS, *_SIDES}
    | {"chat_template_kwargs", "include_reasoning", "logit_bias", "size", "tools"}
)
"""Most calls have none of them."""

# What is paid for and who answers, beside them.
_SPELLED: Final = _LOOKED_AT | {
    *("best_of", "max_completion_tokens", "max_output_tokens", "max_tokens", "mcp_servers", "messages", "model"),
    *("n", "n_cmpl", "n_predict", "prompt", "stream", "stream_options"),
}


def owners_faults(body: JsonObject, *, generates: bool = True) -> Iterator[FieldViolation]:
    """Yield what a call asks for that is none of its caller's business, or more of it than its price is for.

    `generates` is whether its answer is text that a model makes.
    """
    for name in body:
        # To an engine in Go it is the same key, and here it would be another.
        if (known := name.casefold()) != name and known in _SPELLED:
            yield FieldViolation(name, f"must be spelled {known}")
    if _LOOKED_AT.isdisjoint(body):
        return
    for name in body:
        # Said not to be wanted, it does nothing.
        if name in _REFUSED and (_is_said(body[name]) or (name in _PLACES and body[name] is not None)):
            yield FieldViolation(name, _REFUSED[name])
        elif generates and name in _LIMITS and _is_said(body[name]):
            yield FieldViolation(name, "is said as max_tokens")
    yield from _template_faults(body.get("chat_template_kwargs"))
    # Engines take 0 and words for false, too.
    if body.get("include_reasoning") not in (None, True):
        yield FieldViolation("include_reasoning", _HIDDEN)
    yield from _number_faults(body, LOGPROBS, 0, MOST_LOGPROBS)
    yield from _number_faults(body, _STEPS, 1, _MOST_STEPS)
    yield from _number_faults(body, _SIDES, 1, _LONGEST_SIDE)
    yield from _size_faults(body.get("size"))
    for name in _STOPS:
        yield from _length_faults(name, body.get(name), _MOST_STOPS)
    yield from _length_faults("logit_bias", body.get("logit_bias"), _MOST_BIASES)
    for name in _GRAMMARS:
        # What goes on is a text of its own, and no rule for one.
        if name != "text" or isinstance(body.get(name), dict):
            yield from _byte_faults(name, body.get(name), _MOST_GRAMMAR_BYTES)
    yield from _byte_faults("tools", body.get("tools"), _MOST_TOOLS_BYTES)


def _is_said(value: JsonValue) -> bool:
    return value not in (None, False, "", [], {})


def _template_faults(said: JsonValue) -> Iterator[FieldViolation]:
    if said is not None and not isinstance(said, dict):
        yield FieldViolation("chat_template_kwargs", "must be an object")
    for name in sorted(_OF_TEMPLATES.intersection(said)) if isinstance(said, dict) else ():
        yield FieldViolation(f"chat_template_kwargs.{name}", _OWNERS)


def _number_faults(body: JsonObject, names: Collection[str], least: int, most: int) -> Iterator[FieldViolation]:
    for name in names:
        value = body.get(name)
        # A flag of chats is a number of texts, and what is neither is the engine's to refuse.
        if _is_number(value) and not is_within(as_integer(value), least, most):
            yield FieldViolation(name, f"must be an integer from {least} to {most}")


def _is_number(value: JsonValue) -> bool:
    """Tell whether an engine may take a value for a number, however large; many read texts as such, too."""
    if not isinstance(value, str):
        return type(value) in (int, float)
    try:
        float(value)
    except ValueError:
        return False
    return True


def _size_faults(said: JsonValue) -> Iterator[FieldViolation]:
    # "auto" and "2K" are sizes as well; whatever stands around a number, engines may read it as a side.
    text = said if isinstance(said, str) else ""
    sides = _SIDES_IN.findall(text[: _LONGEST_SIZE + 1])
    if len(text) > _LONGEST_SIZE or not all(is_within(int(side.replace("_", "")), 1, _LONGEST_SIDE) for side in sides):
        yield FieldViolation("size", f"must be WIDTHxHEIGHT, each from 1 to {_LONGEST_SIDE}")


def _length_faults(name: str, value: JsonValue, most: int) -> Iterator[FieldViolation]:
    # Samplers are named by letters, too.
    if isinstance(value, (list, dict, str) if name == "samplers" else (list, dict)) and len(value) > most:
        # Each is looked for behind every token, of which all answers of the engine wait.
        yield FieldViolation(name, f"must have at most {most} entries")


def _byte_faults(name: str, value: JsonValue, most: int) -> Iterator[FieldViolation]:
    if isinstance(value, str | list | dict) and text_size(value) > most:
        yield FieldViolation(name, f"must have at most {most // 1024} KiB")
