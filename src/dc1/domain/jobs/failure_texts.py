"""What a renter is told of why a run failed: a sentence from here, never a provider's own words.

What a daemon says may hold addresses, paths and exceptions of the provider's house. Of a text that is known, its
sentence and its numbers pass; of any other, the sentence of its category. The program's own words are in its log.
"""

import re
from collections.abc import Mapping

from dc1.domain.errors.engine_refusals import UNHEEDED
from dc1.domain.jobs.states import JOB_TIMED_OUT, NO_PROVIDER_IN_TIME, NOTHING_HANDED_BACK, ErrorCategory

RUN_FAILED = "The run failed"
PROMPT_TOO_LONG = "The prompt is longer than the model's"
OFFER_DECLINED = "The provider declined the offer"
TOO_MUCH_SAID = "the engine goes on beyond what was asked of it"

DETAIL_CHARS = 2000
"""So much of a provider's own words is kept, for its owner and admins."""

_OF_CATEGORY: Mapping[ErrorCategory, str] = {
    ErrorCategory.TIMEOUT: JOB_TIMED_OUT,
    ErrorCategory.QUEUE_TIMEOUT: NO_PROVIDER_IN_TIME,
    ErrorCategory.OOM: "The run needed more memory than there is",
    ErrorCategory.IMAGE_PULL: "The image could not be pulled",
    ErrorCategory.PROVIDER_DISCONNECT: "The provider disconnected",
    ErrorCategory.EXECUTION: RUN_FAILED,
    ErrorCategory.INVALID_PARAMS: "The parameters of the job were refused",
    ErrorCategory.INVALID_RESULT: "The result cannot be read",
    ErrorCategory.CREATE: "The container could not be created",
    ErrorCategory.ENGINE: "The provider's engine failed",
    ErrorCategory.ENGINE_BUSY: "The provider's engine is busy",
    ErrorCategory.DRIVER: "The provider's driver failed",
    ErrorCategory.DISK: "The provider's disk failed",
    ErrorCategory.GPU_LOST: "The provider lost its GPU",
    ErrorCategory.NO_RESULT: NOTHING_HANDED_BACK,
    ErrorCategory.SERVER_STOP: "The server stopped while the job ran",
    ErrorCategory.OPERATOR: "An operator ended the job",
}

# What is looked for anywhere in a text, and the sentence it gives, with no part of the text but digits and names that
# are spelled out here. Bounded, for a text is anybody's: no number is longer than what it can be.
_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.ASCII), sentence)
    for pattern, sentence in (
        (r"CUDA out of memory", "CUDA out of memory"),
        (r"maximum context length is (\d{1,8}) tokens", f"{PROMPT_TOO_LONG} {{0}} tokens of context"),
        (r"context length \((\d{1,8}) tokens\)", f"{PROMPT_TOO_LONG} {{0}} tokens of context"),
        (
            r"exceeds the available context size|^the engine answered \d{3} \(prompt too long\)",
            f"{PROMPT_TOO_LONG} context",
        ),
        (r"^killed, most likely for using more memory", "Killed, most likely for using more memory than its limit"),
        (r"^exited with status (-?\d{1,10})(?!\d)", "The program ended with exit code {0}"),
        (r"^stopped at its deadline after (\d{1,8}) s$", "Stopped at its deadline after {0} s"),
        (r"^the result is larger than (\d{1,12}) bytes$", "The result is larger than {0} bytes"),
        (r"^the result has more than (\d{1,12}) values$", "The result has more than {0} values"),
        (r"^the result is not JSON", "The result is not JSON"),
        (r"^what follows DC1_RESULT_JSON: is not (JSON|a JSON object)$", "What follows DC1_RESULT_JSON: is not {0}"),
        (
            r"^params\.(max_tokens|temperature|matrix_size|iterations) must be a number from (\d{1,8}) to (\d{1,8})$",
            "params.{0} must be a number from {1} to {2}",
        ),
        (r"^params\.prompt or params\.messages is required$", "params.prompt or params.messages is required"),
        (r"^params\.messages has more than (\d{1,8}) entries$", "params.messages has more than {0} entries"),
        (r"^params\.messages must hold objects$", "params.messages must hold objects"),
        (
            r"^params\.messages: role must be one of ",
            "params.messages: role must be one of system, developer, user, assistant, tool",
        ),
        (r"^params\.messages: content must be text$", "params.messages: content must be text"),
        (r"^params\.messages: only text content is supported$", "params.messages: only text content is supported"),
        (r"^container_spec\.image is required", "container_spec.image is required for this kind of job"),
        (r"^environment variable .* is not valid$", "The name or value of an environment variable is not valid"),
        (r"^environment variable .* must not be set by a job$", "An environment variable must not be set by a job"),
        (r"^the image declares (?:a volume|more than)", "The image declares volumes that no container is given"),
        (r"^the image's user .* is root or nobody that it knows$", "The image's user is root, or none that it has"),
        (r" is too large to pass to a container", "An environment variable is too large to pass to a container"),
        (r"^the job needs (\d{1,4}) GPUs and (\d{1,4}) are free$", "The job needs {0} GPUs and {1} are free"),
        (r"^the command cannot be run", "The command cannot be run in the image"),
        (r"^the job needs a GPU and none can be given", "The job needs a GPU and the provider can give it none"),
        (r"^(\d{1,4}) of (\d{1,4}) slots are taken$", "{0} of the provider's {1} slots are taken"),
        (
            r"^(\d{1,4}) of (\d{1,4}) calls are under way$",
            "The provider's engine takes {1} calls at once and is at {0}",
        ),
        (r"^model '.*' is not served here$", "The model is not served by the provider"),
        (r"^image '.*' is not approved$", "The image is not approved by the provider"),
        (r"^the provider's daemon was stopped$|^the daemon is draining$", "The provider's daemon was stopped"),
        # What is wrong with a call, in the words of ours and of the usual engines: its caller can mend it.
        (
            r"^the engine answered 400: the engine passes over "
            rf"({'|'.join(map(re.escape, UNHEEDED))})$",
            "The provider's engine passes over {0}",
        ),
        (
            r"^the engine answered 400: the model makes embeddings of (\d{1,8}) numbers and not of (\d{1,19})$",
            "The model makes embeddings of {0} numbers and not of {1}",
        ),
        (
            r"^the engine answered 400: the engine gives fewer answers than n$",
            "The provider's engine gives fewer answers than n",
        ),
        (
            r"^the engine answered 400: the engine does not have a tool called that must be$",
            "The provider's engine does not have a tool called that must be",
        ),
        (
            r"^the engine answered 4\d\d: (?:image input is not supported|At most 0 image)|^the engine answered 4\d\d: .*"
            r"is not a multimodal model",
            "The model takes no pictures",
        ),
        (r"^the engine answered 4\d\d: (?:audio input is not supported|At most 0 audio)", "The model takes no sound"),
        (r"^the engine answered 4\d\d: Infill is not supported", "The model cannot fill in a text"),
        (
            r"^the engine answered 4\d\d: response_format type must be",
            "The provider's engine knows no response_format of such a type",
        ),
        (
            r"^the engine answered 4\d\d: Failed to parse tools: ",
            "The provider's engine knows no tools of such a kind, or not in this form",
        ),
        (
            r"^the engine answered 4\d\d: [^\n]{0,400}(?:JSON schema (?:error|conversion failed)|[Ff]ailed to parse grammar"
            r"|[Ii]nvalid (?:JSON |json_)?schema|[Uu]nsupported JSON schema|[Gg]rammar error)",
            "The provider's engine cannot hold an answer to that schema",
        ),
        (r"^the engine answered (\d{3})(?!\d)", "The provider's engine answered {0}"),
        (rf"^{TOO_MUCH_SAID}$", "The provider's engine goes on beyond what was asked of it"),
        (r"^the engine's answer broke off", "The answer of the provider's engine broke off"),
        (r"^the engine stopped: ", "The provider's engine stopped"),
        (r"^the model did not load: ", "The provider's engine could not load the model"),
        (r"^the engine's connection failed", "The provider's engine could not be reached"),
        (r"^no container engine", "The provider has no container engine"),
    )
)


def known_sentence(said: str) -> str | None:
    """Return the sentence that a daemon's words stand for; None when they are no words of ours."""
    text = said[:DETAIL_CHARS].strip()
    for pattern, sentence in _KNOWN:
        found = pattern.search(text)
        if found is not None:
            return sentence.format(*found.groups())
    return None


def failure_text(category: ErrorCategory, said: str = "", exit_code: int | None = None) -> str:
    """Return what the renter is told of a failed run, of which the daemon says `said`."""
    known = known_sentence(said)
    if known is not None:
        return known
    if category is ErrorCategory.EXECUTION and exit_code:
        return f"The program ended with exit code {exit_code}"
    return _OF_CATEGORY[category]


def cleaned(said: str) -> str:
    """Return words from outside cut, on one line and without what steers a terminal or turns a text around."""
    return "".join(each if each.isprintable() else " " for each in said[:DETAIL_CHARS]).strip()
