"""What renters are told of failures is the market's own, whatever a daemon says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.failure_texts import DETAIL_CHARS, cleaned, failure_text, known_sentence
from dc1.domain.jobs.states import Actor, ErrorCategory

SECRET = "http://10.1.2.3:8000/v1 /home/omar/models"  # nothing of this may be told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"torch.cuda: CUDA out of memory. Tried 2 GiB at {SECRET}", "CUDA out of memory"),
        (f"exited with status 3: Traceback {SECRET}", "The program ended with exit code 3"),
        (f"exited with status 99999999999: {SECRET}", "The run failed"),
        ("stopped at its deadline after 60 s", "Stopped at its deadline after 60 s"),
        ("stopped at its deadline after 60 s at 10.1.2.3", "The run failed"),
        ("stopped at its deadline after ٦٠ s", "The run failed"),
        (f"the engine answered 400: {SECRET}", "The provider's engine answered 400"),
        (
            "the engine answered 400: This model's maximum context length is 4096 tokens. However, you requested 9000",
            "The prompt is longer than the model's 4096 tokens of context",
        ),
        (f"the engine answered 500: image input is not supported {SECRET}", "The provider's engine answered 500"),
        (f"the engine answered 400: image input is not supported {SECRET}", "The model takes no pictures"),
        (f"the engine answered 400: {SECRET} is not a multimodal model", "The model takes no pictures"),
        (f"the engine answered 400: audio input is not supported {SECRET}", "The model takes no sound"),
        (
            f"the engine answered 400: Failed to parse tools: Unsupported tool type: {SECRET}",
            "The provider's engine knows no tools of such a kind, or not in this form",
        ),
        (
            f"the engine answered 400: Automatic parser generation failed: JSON schema error at #: {SECRET}",
            "The provider's engine cannot hold an answer to that schema",
        ),
        ("the engine answered 400: the engine passes over audio", "The provider's engine passes over audio"),
        (f"the engine answered 400: the engine passes over {SECRET}", "The provider's engine answered 400"),
        (
            "the engine answered 400: the model makes embeddings of 576 numbers and not of 3",
            "The model makes embeddings of 576 numbers and not of 3",
        ),
        (f"the engine stopped: the process ended with status -9: {SECRET}", "The provider's engine stopped"),
        (f"the model did not load: {SECRET}", "The provider's engine could not load the model"),
        ("4 of 4 calls are under way", "The provider's engine takes 4 calls at once and is at 4"),
        (f"the engine's connection failed: ConnectError('{SECRET}')", "The provider's engine could not be reached"),
        (f"{SECRET} cannot be reached: [Errno 111]", "The run failed"),
        (f"the runner failed: OSError: {SECRET}", "The run failed"),
        (f"pulling {SECRET}/img failed: denied", "The image could not be pulled"),
        (f"model '{SECRET}' is not served here", "The model is not served by the provider"),
        ("params.temperature must be a number from 0 to 2", "params.temperature must be a number from 0 to 2"),
        (
            f"environment variable 'LD_{SECRET}' must not be set by a job",
            "An environment variable must not be set by a job",
        ),
        (f"the image declares a volume at '{SECRET}'", "The image declares volumes that no container is given"),
        ("the image declares more than 16 volumes", "The image declares volumes that no container is given"),
        (
            f"the image's user '{SECRET}' is root or nobody that it knows",
            "The image's user is root, or none that it has",
        ),
        (f"params.{SECRET} must be a number from 0 to 2", "The run failed"),
    ],
)
def test_known_words_give_their_sentence_and_others_that_of_the_category(said: str, told: str) -> None:
    report = AttemptReport.read(completed=False, error=said)
    assert report.error == told
    assert report.error_detail == said


@given(
    said=st.one_of(
        st.text(),
        st.from_regex(r"(?s).*(exited with status|the engine answered|stopped at its deadline after) [-0-9٠-٩]*.*"),
        st.builds("{}{}".format, st.sampled_from(["params.", "model '", "environment variable "]), st.text()),
    ),
    category=st.sampled_from(ErrorCategory),
    code=st.none() | st.integers(-(2**31), 2**31 - 1),
)
def test_nothing_of_a_daemon_s_words_passes_but_short_numbers(
    said: str, category: ErrorCategory, code: int | None
) -> None:
    # A mark that no sentence holds, between and around whatever was made up.
    told = failure_text(category, f"{said}\u2603 {said}", code)
    assert told.isascii()
    assert told.isprintable()
    assert "\u2603" not in told
    # What is left without its numbers is one of a few sentences.
    assert len(told) < 90
    assert re.sub(r"-?\d+", "N", told) in SENTENCES


def _sentences() -> set[str]:
    from dc1.domain.jobs import failure_texts

    names = ("max_tokens", "temperature", "matrix_size", "iterations", "JSON", "a JSON object")
    found = {*failure_texts._OF_CATEGORY.values(), "The program ended with exit code N"}
    for _, sentence in failure_texts._KNOWN:
        found |= {sentence.format(first, "N", "N") for first in ("N", *names)}
    return found


SENTENCES = _sentences()


def test_a_program_s_exit_code_is_told_and_an_admin_s_words_are_the_renter_s() -> None:
    assert failure_text(ErrorCategory.EXECUTION, SECRET, 3) == "The program ended with exit code 3"
    assert failure_text(ErrorCategory.OOM, SECRET, 137) == "The run needed more memory than there is"
    by_admin = AttemptReport.read(completed=False, actor=Actor.ADMIN, error="We stop \x1b[2Jthis machine")
    assert by_admin.error == "We stop  [2Jthis machine"


def test_what_is_kept_is_cut_and_on_one_line() -> None:
    assert cleaned("a\nb\r\x00\x1b[31m\u202ec\u2028") == "a b   [31m c"
    assert len(cleaned("x" * 10_000)) == DETAIL_CHARS
    assert known_sentence("x" * DETAIL_CHARS + "CUDA out of memory") is None
