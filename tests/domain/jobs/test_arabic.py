"""Whatever the market says of a job has its Arabic."""

import pytest

from dc1.domain.jobs.arabic import JOB_PHRASES
from dc1.domain.jobs.failure_texts import failure_text, known_sentence
from dc1.domain.jobs.states import ErrorCategory

# What daemons say, a text for each sentence that it stands for.
SAID = [
    "CUDA out of memory",
    "maximum context length is 8192 tokens",
    "exceeds the available context size",
    "killed, most likely for using more memory than it may",
    "exited with status -9",
    "stopped at its deadline after 60 s",
    "the result is larger than 10 bytes",
    "the result has more than 10 values",
    "the result is not JSON",
    "what follows DC1_RESULT_JSON: is not a JSON object",
    "params.max_tokens must be a number from 1 to 8192",
    "params.prompt or params.messages is required",
    "params.messages has more than 100 entries",
    "params.messages must hold objects",
    "params.messages: role must be one of system",
    "params.messages: content must be text",
    "params.messages: only text content is supported",
    "container_spec.image is required",
    "environment variable X is not valid",
    "environment variable X must not be set by a job",
    "the image declares a volume",
    "the image's user 7 is root or nobody that it knows",
    "X is too large to pass to a container",
    "the job needs 4 GPUs and 2 are free",
    "the command cannot be run",
    "the job needs a GPU and none can be given",
    "3 of 4 slots are taken",
    "3 of 4 calls are under way",
    "model 'x' is not served here",
    "image 'x' is not approved",
    "the daemon is draining",
    "the engine answered 500",
    "the engine answered 400: the engine passes over n beside a suffix",
    "the engine answered 400: the model makes embeddings of 8 numbers and not of 4",
    "the engine answered 400: the engine gives fewer answers than n",
    "the engine answered 400: the engine does not have a tool called that must be",
    "the engine answered 400: image input is not supported",
    "the engine answered 400: audio input is not supported",
    "the engine answered 400: Infill is not supported by this model: prefix token is missing. ",
    'the engine answered 400: response_format type must be one of "text" or "json_object", but got: xml',
    "the engine answered 400: Failed to parse tools: x",
    "the engine answered 400: JSON schema conversion failed",
    "the engine's answer broke off",
    "the engine goes on beyond what was asked of it",
    "the engine stopped: x",
    "the model did not load: x",
    "the engine's connection failed",
    "no container engine",
]


@pytest.mark.parametrize("category", ErrorCategory)
def test_every_kind_of_failure_has_its_arabic(category: ErrorCategory) -> None:
    assert JOB_PHRASES.in_arabic(failure_text(category))


@pytest.mark.parametrize("said", SAID)
def test_every_sentence_for_a_daemons_words_has_its_arabic(said: str) -> None:
    sentence = known_sentence(said)
    assert sentence is not None
    assert JOB_PHRASES.in_arabic(sentence)


def test_numbers_are_carried_over_and_words_of_others_are_not_translated() -> None:
    assert JOB_PHRASES.in_arabic("The program ended with exit code -9") == "انتهى البرنامج برمز الخروج -9"
    for sentence in ("1 machine would fit and had the job before", "12 machines would fit and had the job before"):
        assert sentence.split()[0] in (JOB_PHRASES.in_arabic(sentence) or "")
    assert JOB_PHRASES.in_arabic("{braces} of somebody") is None
