"""What an engine would fetch for a caller is the caller's own or everybody's, and nothing of the house it stands in."""

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.inference.calls import is_for_everybody
from dc1.domain.inference.kinds import kind_of
from dc1.domain.providers.model_abilities import EnginePath

INSIDE = "http://192.168.1.1/reboot"


@pytest.mark.parametrize(
    "address",
    [
        "data:image/png;base64,AAAA",
        "AAAA",
        "/9j/4AAQ\nSk+_-==",
        "https://example.sa/sea.png",
        "HTTP://example.com:8080/a?b=c",
        "https://8.8.8.8/",
        "https://Example.SA./a",
        "https://مثال.السعودية/بحر.png",
    ],
)
def test_what_everybody_may_have(address: str) -> None:
    assert is_for_everybody(address)


@pytest.mark.parametrize(
    "address",
    [
        INSIDE,
        "http://127.0.0.1:8000/v1/models",
        "http://127.1/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/",
        "http://printer.local./",
        "http://metadata.google.internal/",
        "http://router/",
        "http://user@10.0.0.1/",
        "http://[/",
        "file:///etc/passwd",
        " FILE:/etc/passwd",
        "fi\tle:///etc/passwd",
        "\0file:///etc/passwd",
        "\t" * 200 + "file:///etc/passwd",
        "http://127.0.0.1\\@example.com/",
        "http://127.0.0.1。/",
        f"http://{'é.' * 200}sa/",
        "http://127.0.0.1\u00ad/",
        "http://127.0.0.%31/",
        "http://１２７.0.0.1/",
        "http://metadata.google.ⓘnternal\ufe0f/",
        "http://a.loc\u200bal/",
        "/home/owner/passport.png",
        "//192.168.1.1/reboot",
        "ftp://example.com/a",
        "http:",
    ],
)
def test_what_is_somebody_s_own(address: str) -> None:
    assert not is_for_everybody(address)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            EnginePath.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": INSIDE}}]}]},
        ),
        (EnginePath.CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": INSIDE}]}]}),
        # As engines in Go read it.
        (EnginePath.CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "Image_URL": INSIDE}]}]}),
        (
            EnginePath.MESSAGES,
            {"messages": [{"content": [{"type": "image", "source": {"type": "url", "url": INSIDE}}]}]},
        ),
        (EnginePath.RESPONSES, {"input": [{"content": [{"type": "input_file", "file_url": INSIDE}]}]}),
        (EnginePath.EMBEDDINGS, {"input": "a", "messages": [{"content": [{"image_url": {"url": INSIDE}}]}]}),
        (EnginePath.RERANK, {"query": "a", "documents": [{"text": "a", "content": [{"image_url": {"url": INSIDE}}]}]}),
    ],
)
def test_it_is_refused_wherever_it_stands(path: EnginePath, said: JsonObject) -> None:
    body: JsonObject = {"model": "a", "max_tokens": 5, **said}
    (fault,) = kind_of(path).faults(body)
    assert fault.message == "must name media by data: or by http at a public address"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            EnginePath.MESSAGES,
            {
                "messages": [
                    {"content": [{"type": "tool_use", "name": "open", "input": {"url": "http://localhost:3000/"}}]}
                ]
            },
        ),
        (
            EnginePath.RESPONSES,
            {
                "input": [
                    {"content": [{"type": "output_text", "text": "", "annotations": [{"url": "http://wiki.lan/"}]}]}
                ]
            },
        ),
    ],
)
def test_what_a_model_said_before_is_fetched_by_nobody(path: EnginePath, said: JsonObject) -> None:
    assert list(kind_of(path).faults({"model": "a", "max_tokens": 5, **said})) == []


@pytest.mark.parametrize("path", [EnginePath.CHAT, EnginePath.MESSAGES, EnginePath.RESPONSES])
@pytest.mark.parametrize(("name", "key"), [("tools", "server_url"), ("mcp_servers", "url")])
def test_nor_is_a_server_of_tools_one_of_the_owners_network(path: EnginePath, name: str, key: str) -> None:
    said: JsonObject = {"role": "user", "content": "a"}
    body: JsonObject = {"model": "a", "max_tokens": 5, "messages": [said], "input": "a"}
    schema: JsonObject = {"type": "object", "examples": [{"url": INSIDE, "server_url": INSIDE}]}
    tool: JsonObject = {"type": "function", "name": "f", "parameters": schema, key: "https://mcp.example.com/sse"}
    assert not list(kind_of(path).faults({**body, name: [tool, {"type": "mcp"}]}))
    for inside in (INSIDE, "intranet", "data:,x"):
        (fault,) = kind_of(path).faults({**body, name: [tool, {"type": "mcp", key: inside}]})
        assert (fault.field, fault.message) == (f"{name}.1.{key}", "must be http at a public address")
    (fault,) = kind_of(path).faults({**body, name: [{key.title(): INSIDE}]})
    assert fault.field == f"{name}.0.{key.title()}"
    (fault,) = kind_of(path).faults({**body, name.title(): [{key: INSIDE}]})
    assert fault.field == f"{name.title()}.0.{key}"


def test_no_other_spelling_takes_the_place_of_a_content() -> None:
    message: JsonObject = {"role": "user", "content": "a", "Content": [{"type": "image_url", "image_url": INSIDE}]}
    (fault,) = kind_of(EnginePath.CHAT).faults({"model": "a", "messages": [message]})
    assert fault.field == "messages.0.Content"
