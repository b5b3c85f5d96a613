"""langchain-openai."""

from features import HELLO, LIMITED_KEY, MODEL, report
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

llm = ChatOpenAI(model=MODEL, max_tokens=64)


class City(BaseModel):
    name: str
    people: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return "hot"


def chat():
    answer = llm.invoke(HELLO)
    return {"text": answer.content, "tokens": answer.usage_metadata["output_tokens"]}


def stream():
    pieces = list(llm.stream(HELLO))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    return {
        "joined": "".join(str(piece.content) for piece in pieces),
        "text": whole.content,
        "tokens": (whole.usage_metadata or {}).get("output_tokens"),
    }


async def parallel():
    answers = await llm.abatch([HELLO] * 5)
    return {"answers": len(answers)}


def tools():
    asked = [HumanMessage("What is the weather in Riyadh?")]
    first = llm.bind_tools([get_weather]).invoke(asked)
    if not first.tool_calls:
        return {"text": first.content, "calls": []}
    said = [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in first.tool_calls]
    return {"text": llm.invoke([*asked, first, *said]).content, "calls": first.tool_calls}


def structured():
    wide = ChatOpenAI(model=MODEL, max_tokens=200, temperature=0)
    return wide.with_structured_output(City, method="json_schema").invoke("Riyadh has 7 people.").model_dump()


def rate_limited():
    for _ in range(2):
        ChatOpenAI(model=MODEL, api_key=LIMITED_KEY, max_tokens=8, max_retries=0).invoke(HELLO)


def wrong_key():
    return ChatOpenAI(model=MODEL, api_key="none").invoke(HELLO)


def unknown_model():
    return ChatOpenAI(model="none/none").invoke(HELLO)


report(chat, stream, parallel, tools, structured, rate_limited, wrong_key, unknown_model)
