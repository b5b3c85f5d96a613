"""An image is the same image in every spelling, and what is no name of one is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.jobs.container_spec import pinned_images
from dc1.domain.jobs.images import approved_as, parse, pull_name

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64
PYTHON = "docker.io/library/python:3.11"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        *(
            (text, PYTHON)
            for text in (
                "python:3.11",
                "library/python:3.11",
                "docker.io/python:3.11",
                "docker.io/library/python:3.11",
                "index.docker.io/library/python:3.11",
                "index.docker.io/python:3.11",
                "registry-1.docker.io/library/python:3.11",
                "Docker.IO/library/python:3.11",
            )
        ),
        ("python", "docker.io/library/python:latest"),
        ("team/tool", "docker.io/team/tool:latest"),
        ("localhost/tool:1", "localhost/tool:1"),
        ("localhost:5000/tool:1", "localhost:5000/tool:1"),
        ("GHCR.io/a/b:V1", "ghcr.io/a/b:V1"),
        ("[2001:DB8::1]:5000/a:1", "[2001:db8::1]:5000/a:1"),
        (f"python:3.11@{DIGEST}", f"{PYTHON}@{DIGEST}"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"registry.example.sa:443/a/b/c:1@{DIGEST}", f"registry.example.sa:443/a/b/c:1@{DIGEST}"),
    ],
)
def test_names_have_one_form(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " python",
        "python ",
        "pyth\non",
        "python:",
        "python:.1",
        "python:" + "x" * 129,
        "python@",
        "python@sha256:1234",
        f"python@sha512:{'0' * 128}",
        f"python@{DIGEST.upper()}",
        "Python:3.11",
        "docker.io/Library/python",
        "../python",
        "docker.io/../python",
        "docker.io/library//python",
        "docker.io/library/python/",
        "/python",
        "docker.io/",
        "https://docker.io/library/python",
        "user:secret@docker.io/python",
        "docker.io:port/python",
        "docker.io/python:3.11:4",
        "-python",
        "pyt\u04bbon",
        "ex\u00e4mple.sa/a",
        "a" * 256,
    ],
)
def test_what_is_no_image(text: str) -> None:
    assert parse(text) is None
    assert approved_as(text, {PYTHON}) is None


def test_a_tag_stands_for_the_digest_that_was_approved_with_it() -> None:
    approved = {f"python:3.11@{DIGEST}", "docker.io/library/busybox:1.36"}
    for sent in ("python:3.11", "index.docker.io/library/python:3.11", f"python@{DIGEST}", f"python:3.12@{DIGEST}"):
        assert approved_as(sent, approved) == f"python:3.11@{DIGEST}"
    for sent in ("python", "python:3.12", f"python:3.11@{OTHER}", "ghcr.io/library/python:3.11"):
        assert approved_as(sent, approved) is None
    assert approved_as(f"busybox:1.36@{DIGEST}", approved) is None, "a digest that nobody approved"
    assert approved_as("busybox:1.36", approved) == "docker.io/library/busybox:1.36"


def test_an_image_is_pulled_by_its_digest() -> None:
    assert pull_name(f"python:3.11@{DIGEST}") == f"docker.io/library/python@{DIGEST}"
    assert pull_name(f"ghcr.io/a/b@{DIGEST}") == f"ghcr.io/a/b@{DIGEST}"
    assert pull_name("python:3.11") == "python:3.11"


def test_a_job_of_before_the_pin_runs_what_was_pinned() -> None:
    approved = {f"python:3.11@{DIGEST}"}
    pulled = f"docker.io/library/python@{DIGEST}"
    spec, params = pinned_images({"image": PYTHON, "job_cmd": "id"}, {"image_override": "python:3.11"}, approved)
    assert spec == {"image": pulled, "job_cmd": "id"}
    assert params == {"image_override": pulled}
    again = pinned_images(spec, params, {*approved, pulled})
    assert again == (spec, params)


_component = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)
_names = st.builds(
    lambda host, parts, tag, digest: f"{host}{'/'.join(parts)}{tag}{digest}",
    st.sampled_from(["", "docker.io/", "index.docker.io/", "localhost/", "a.example:5000/", "GHCR.io/"]),
    st.lists(_component, min_size=1, max_size=3),
    st.sampled_from(["", ":1", ":3.11-slim", ":V_1"]),
    st.sampled_from(["", f"@{DIGEST}"]),
)


@given(_names)
def test_the_canonical_form_is_its_own(text: str) -> None:
    name = parse(text)
    assert name is not None
    assert parse(str(name)) == name
    assert approved_as(text, {str(name)}) == str(name)
    assert approved_as(str(name), {text}) == text
    assert parse(pull_name(text)) is not None


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_none(text: str) -> None:
    name = parse(text)
    if name is not None:
        assert parse(str(name)) == name
        assert not set(" \t\n\r\\?#%") & set(text)
        assert ".." not in text.split("/")
