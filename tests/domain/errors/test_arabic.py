"""Every refusal of the catalogue has an Arabic text of its own, with what varies in it."""

import inspect
import re
from typing import Any

import pytest

from dc1.domain import errors
from dc1.domain.errors import ApiError, FieldViolation
from dc1.domain.errors.arabic import in_arabic, translated
from dc1.domain.errors.codes import ErrorCode

# Their words are an engine's, a route's or those of a rule of one field.
IN_OTHER_WORDS = {"completion_refused", "container_spec_invalid", "internal_error", "provider_unavailable"}
SAMPLES: dict[str, Any] = {
    "presented": "renter",
    "expected": "provider",
    "violations": [FieldViolation("name", "too short")],
    "names": ["VARIES"],
    "paths": ["VARIES"],
    "allowed": ["VARIES"],
    "refusal": None,
}


def samples() -> dict[str, ApiError]:
    """One refusal of each constructor, with `VARIES` or 7 wherever something varies."""
    found = {}
    for name, make in vars(errors).items():
        signature = inspect.signature(make) if inspect.isfunction(make) else None
        if signature is not None and signature.return_annotation in (ApiError, "ApiError"):
            found[name] = make(**{each.name: sample(each) for each in signature.parameters.values()})
    return found


def sample(parameter: inspect.Parameter) -> Any:
    if parameter.name in SAMPLES:
        return SAMPLES[parameter.name]
    return 7 if re.search("int|float", str(parameter.annotation)) else "VARIES"


REFUSALS = samples()


def test_all_refusals_are_looked_at() -> None:
    assert len(REFUSALS) > 80
    assert {error.code for error in REFUSALS.values()} >= set(ErrorCode)


@pytest.mark.parametrize("name", sorted(REFUSALS.keys() - IN_OTHER_WORDS))
def test_each_has_an_arabic_text_with_all_that_varies(name: str) -> None:
    text, arabic = REFUSALS[name].message, translated(REFUSALS[name].message)
    assert arabic is not None, text
    assert re.search("[\u0600-\u06ff]{2}", arabic)
    assert (arabic.count("VARIES"), arabic.count("7")) == (text.count("VARIES"), text.count("7"))
    assert "{" not in arabic


@pytest.mark.parametrize("name", sorted(IN_OTHER_WORDS))
def test_other_words_are_told_by_their_status(name: str) -> None:
    assert re.search("[\u0600-\u06ff]{2}", in_arabic(REFUSALS[name]))


@pytest.mark.parametrize("name", ["{model}", "\\1 {0} \n</script>"])
def test_what_varies_is_carried_over_as_it_is(name: str) -> None:
    assert f"'{name}'" in (translated(f"Model '{name}' does not exist") or "")


def test_what_quotes_too_much_is_told_by_its_status() -> None:
    assert in_arabic(errors.model_not_found("x" * 5000)) == "غير موجود"
