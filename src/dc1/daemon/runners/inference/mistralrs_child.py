"""The process in which the built-in model lives: loads once, then answers chats one at a time.

Requests: {"id", "messages", "max_tokens", "temperature", "top_p", "stop"} and {"cancel": id}.
Events: ready, token {text}, done {prompt_tokens, completion_tokens, finish_reason}, error {message}.
"""

import sys
from pathlib import Path
from typing import Any

from dc1.daemon.runners.child import ParentLink


def load_model(gguf: Path) -> Any:
    """Load the model; about a second of work."""
    import mistralrs

    which: Any = mistralrs.Which.GGUF(
        tok_model_id=None, quantized_model_id=str(gguf.parent), quantized_filename=gguf.name
    )
    return mistralrs.Runner(which=which, no_paged_attn=True, token_source="none")  # noqa: S106 -- says that there is no token


def answer(link: ParentLink, runner: Any, request: dict[str, Any]) -> None:
    """Generate one answer, token by token, until it ends or is called off."""
    import mistralrs

    chat = mistralrs.ChatCompletionRequest(
        messages=request["messages"],
        model="default",
        max_tokens=request["max_tokens"],
        temperature=request["temperature"],
        top_p=request["top_p"],
        stop_seqs=request["stop"],
        stream=True,
    )
    usage, finish_reason, pieces = None, "stop", 0
    for chunk in runner.send_chat_completion_request(chat):
        # Leaving the loop drops the iterator, and with it the sequence in the engine.
        if link.cancelled(request["id"]):
            finish_reason = "cancelled"
            break
        choice = chunk.choices[0]
        if choice.delta.content:
            pieces += 1
            link.emit("token", text=choice.delta.content)
        usage = chunk.usage or usage
        finish_reason = choice.finish_reason or finish_reason
    link.emit(
        "done",
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else pieces,
        finish_reason=finish_reason,
    )


def main() -> None:
    """Serve until the parent is gone."""
    link = ParentLink()
    runner = load_model(Path(sys.argv[1]))
    link.emit("ready")
    while True:
        request: dict[str, Any] = link.next_request()
        try:
            answer(link, runner, request)
        except Exception as error:  # a chat the engine refuses must not take the loaded model down
            link.emit("error", message=str(error))


if __name__ == "__main__":
    main()
