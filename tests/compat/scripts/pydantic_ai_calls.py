"""pydantic-ai, with an output by tool (its way by default) and by JSON schema."""

import os

import openai
from features import HELLO, LIMITED_KEY, MODEL, report
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

model = OpenAIChatModel(MODEL)
SHORT, WIDE = {"max_tokens": 64}, {"max_tokens": 200, "temperature": 0}


class City(BaseModel):
    name: str
    people: int


def chat():
    answer = Agent(model, model_settings=SHORT).run_sync(HELLO)
    return {"text": answer.output, "tokens": answer.usage().output_tokens}


async def stream():
    async with Agent(model, model_settings=SHORT).run_stream(HELLO) as answer:
        pieces = [piece async for piece in answer.stream_text(delta=True, debounce_by=None)]
        return {"joined": "".join(pieces), "text": await answer.get_output(), "tokens": answer.usage().output_tokens}


def tools():
    called = []
    agent = Agent(model, model_settings=SHORT)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        called.append(city)
        return "hot"

    return {"text": agent.run_sync("What is the weather in Riyadh?").output, "called": called}


def output_by_tool():
    return Agent(model, output_type=City, model_settings=WIDE).run_sync("Riyadh has 7 people.").output.model_dump()


def structured():
    agent = Agent(model, output_type=NativeOutput(City), model_settings=WIDE)
    return agent.run_sync("Riyadh has 7 people.").output.model_dump()


def rate_limited():
    client = openai.AsyncOpenAI(api_key=LIMITED_KEY, max_retries=0)
    agent = Agent(OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client)), model_settings=SHORT)
    for _ in range(2):
        agent.run_sync(HELLO)


def wrong_key():
    provider = OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key="none")
    return Agent(OpenAIChatModel(MODEL, provider=provider)).run_sync(HELLO)


report(chat, stream, tools, output_by_tool, structured, rate_limited, wrong_key)
