"""LlamaIndex, by its class for servers like OpenAI's."""

import asyncio
import os

from features import HELLO, MODEL, report
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

PLACE = {
    "model": MODEL,
    "api_base": os.environ["OPENAI_BASE_URL"],
    "is_chat_model": True,
    "is_function_calling_model": True,
}
llm = OpenAILike(**PLACE, api_key=os.environ["OPENAI_API_KEY"], max_tokens=64)
ASKED = [ChatMessage(role="user", content=HELLO)]


class City(BaseModel):
    name: str
    people: int


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return "hot"


def chat():
    answer = llm.chat(ASKED)
    return {"text": answer.message.content, "tokens": answer.raw.usage.completion_tokens}


def stream():
    pieces = list(llm.stream_chat(ASKED))
    return {"joined": "".join(piece.delta or "" for piece in pieces), "text": pieces[-1].message.content}


def complete():
    return {"text": llm.complete(HELLO).text}


def tools():
    answer = llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg="What is the weather in Riyadh?")
    calls = llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
    return {
        "text": answer.message.content,
        "calls": [{"name": call.tool_name, "args": call.tool_kwargs} for call in calls],
    }


def structured():
    wide = OpenAILike(
        **PLACE, api_key=os.environ["OPENAI_API_KEY"], max_tokens=200, temperature=0, should_use_structured_outputs=True
    )
    return (
        wide.as_structured_llm(City).chat([ChatMessage(role="user", content="Riyadh has 7 people.")]).raw.model_dump()
    )


async def parallel():
    return {"answers": len(await asyncio.gather(*(llm.achat(ASKED) for _ in range(8))))}


def wrong_key():
    return OpenAILike(**PLACE, api_key="none", max_retries=0).chat(ASKED)


report(chat, stream, complete, tools, structured, parallel, wrong_key)
