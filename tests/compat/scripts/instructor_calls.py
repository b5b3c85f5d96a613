"""Instructor, in its mode by default (a tool that has to be called) and by JSON schema."""

import instructor
import openai
from features import LIMITED_KEY, MODEL, report
from pydantic import BaseModel

ASKED = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Riyadh has 7 people."}],
    "max_tokens": 200,
    "max_retries": 1,
}


class City(BaseModel):
    name: str
    people: int


def output_by_tool():
    return instructor.from_openai(openai.OpenAI()).chat.completions.create(**ASKED, response_model=City).model_dump()


def structured():
    client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    return client.chat.completions.create(**ASKED, temperature=0, response_model=City).model_dump()


def structured_stream():
    client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)
    parts = list(client.chat.completions.create_partial(**ASKED, temperature=0, response_model=City))
    return parts[-1].model_dump() if len(parts) > 1 else {}


def rate_limited():
    client = instructor.from_openai(openai.OpenAI(api_key=LIMITED_KEY, max_retries=0))
    for _ in range(2):
        client.chat.completions.create(**{**ASKED, "max_retries": 0}, response_model=City)


def wrong_key():
    client = instructor.from_openai(openai.OpenAI(api_key="none"))
    return client.chat.completions.create(**ASKED, response_model=City)


report(output_by_tool, structured, structured_stream, rate_limited, wrong_key)
