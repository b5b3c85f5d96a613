"""The `llm` command, whose users name the market in its list of further models."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from features import HELLO, MODEL, report

WEATHER = "def get_weather(city: str) -> str:\n    return 'hot'"
HOME = Path(mkdtemp(prefix="llm-"))
ENV = {**os.environ, "LLM_USER_PATH": str(HOME), "DC1_KEY": os.environ["OPENAI_API_KEY"]}
(HOME / "extra-openai-models.yaml").write_text(f"""
- model_id: market
  model_name: {MODEL}
  api_base: {os.environ["OPENAI_BASE_URL"]}
  api_key_name: market
  supports_schema: true
  supports_tools: true
""")


def llm(*words):
    command = (str(Path(sys.executable).with_name("llm")), *words)
    done = subprocess.run(command, env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def prompt(*words, key=ENV["DC1_KEY"]):
    return llm("prompt", "-m", "market", "--key", key, *words)


def chat():
    return {"text": prompt("--no-stream", "-o", "max_tokens", "24", HELLO)}


def stream():
    return {"text": prompt("-o", "max_tokens", "24", "-u", HELLO)}


def structured():
    return json.loads(prompt("--schema", "name str, people int", "-o", "max_tokens", "200", "Riyadh has 7 people."))


def tools():
    return {"text": prompt("--functions", WEATHER, "-o", "max_tokens", "64", "What is the weather in Riyadh?")}


def wrong_key():
    return prompt(HELLO, key="none")


report(chat, stream, structured, tools, wrong_key)
