"""openai-agents, over chat and over responses."""

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool
from features import HELLO, MODEL, report
from openai import AsyncOpenAI
from pydantic import BaseModel


class City(BaseModel):
    name: str
    people: int


def agent(**more):
    settings = ModelSettings(max_tokens=more.pop("most", 64), temperature=0)
    return Agent(name="Helper", model=OpenAIChatCompletionsModel(MODEL, AsyncOpenAI()), model_settings=settings, **more)


def chat():
    result = Runner.run_sync(agent(), HELLO)
    return {"text": result.final_output, "tokens": result.context_wrapper.usage.output_tokens}


async def stream():
    result = Runner.run_streamed(agent(), HELLO)
    events = [event async for event in result.stream_events()]
    deltas = [
        each.data.delta
        for each in events
        if each.type == "raw_response_event" and each.data.type == "response.output_text.delta"
    ]
    return {"joined": "".join(deltas), "text": result.final_output}


def tools():
    called = []

    @function_tool
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        called.append(city)
        return "hot"

    result = Runner.run_sync(agent(tools=[get_weather]), "What is the weather in Riyadh?", max_turns=4)
    return {"text": result.final_output, "called": called}


def structured():
    return Runner.run_sync(agent(output_type=City, most=200), "Riyadh has 7 people.").final_output.model_dump()


def responses():
    # Of an answer that is cut off it tells its user nothing but that.
    settings = ModelSettings(max_tokens=64, temperature=0)
    helper = Agent(name="Helper", model=OpenAIResponsesModel(MODEL, AsyncOpenAI()), model_settings=settings)
    return {"text": Runner.run_sync(helper, HELLO).final_output}


report(chat, stream, tools, structured, responses)
