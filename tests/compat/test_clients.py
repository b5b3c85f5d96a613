"""Every other client, unmodified, with all that its users do by default; `make compat` installs and runs them."""

import pytest

from tests.compat.clients import NODE, report
from tests.compat.conftest import Shop
from tests.compat.features import wrong
from tests.faults.engine import MODEL as ABLE

CLIENTS = [
    ("guidellm", "guidellm_calls.py"),
    ("newest", "agents_calls.py"),
    ("newest", "anthropic_calls.py"),
    ("newest", "langchain_calls.py"),
    ("newest", "llm_calls.py"),
    ("newest", "pydantic_ai_calls.py"),
    ("settled", "instructor_calls.py"),
    ("settled", "litellm_calls.py"),
    ("llama_index", "llama_index_calls.py"),
    (NODE, "openai_calls.mjs"),
    (NODE, "vercel_calls.mjs"),
]


@pytest.mark.clients
@pytest.mark.parametrize(("environment", "script"), CLIENTS, ids=[script for _, script in CLIENTS])
def test_features(shop: Shop, environment: str, script: str, model: str) -> None:
    assert not wrong(report(environment, script, shop.env(model)), model == ABLE)
