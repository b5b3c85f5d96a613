"""LiteLLM's SDK."""

import os

import litellm
from features import HELLO, LIMITED_KEY, MODEL, WEATHER, report
from pydantic import BaseModel

ASKED = {"model": f"openai/{MODEL}", "messages": [{"role": "user", "content": HELLO}], "max_tokens": 24}


class City(BaseModel):
    name: str
    people: int


def chat():
    answer = litellm.completion(**ASKED)
    return {"text": answer.choices[0].message.content, "tokens": answer.usage.completion_tokens}


def stream():
    pieces = list(litellm.completion(**ASKED, stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(pieces, messages=ASKED["messages"])
    return {
        "joined": "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices),
        "text": whole.choices[0].message.content,
        "tokens": whole.usage.completion_tokens,
    }


async def async_chat():
    answer = await litellm.acompletion(**ASKED)
    return {"text": answer.choices[0].message.content, "tokens": answer.usage.completion_tokens}


def tools():
    message = litellm.completion(**ASKED | {"max_tokens": 64}, tools=[WEATHER]).choices[0].message
    return {"text": message.content, "calls": [call.function.model_dump() for call in message.tool_calls or ()]}


def structured():
    answer = litellm.completion(**{**ASKED, "max_tokens": 200}, temperature=0, response_format=City)
    return City.model_validate_json(answer.choices[0].message.content).model_dump()


def rerank():
    asked = {
        "model": f"hosted_vllm/{MODEL}",
        "api_base": os.environ["OPENAI_BASE_URL"],
        "api_key": os.environ["OPENAI_API_KEY"],
    }
    answer = litellm.rerank(**asked, query="sea", documents=["land", "the wide sea"])
    return {"order": [each["index"] for each in answer.results]}


def rate_limited():
    for _ in range(2):
        litellm.completion(**ASKED, api_key=LIMITED_KEY, max_retries=0)


def wrong_key():
    return litellm.completion(**ASKED, api_key="none")


def unknown_model():
    return litellm.completion(**{**ASKED, "model": "openai/none/none"})


def too_long():
    return litellm.completion(**{**ASKED, "messages": [{"role": "user", "content": "sea " * 60_000}]})


report(chat, stream, async_chat, tools, structured, rerank, rate_limited, wrong_key, unknown_model, too_long)
