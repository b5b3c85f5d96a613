"""The official client of Anthropic for Python, set up by the environment alone."""

import anthropic
from features import HELLO, LIMITED_KEY, MODEL, TOOL, WEATHER, report

client = anthropic.Anthropic(timeout=120)
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": HELLO}], "max_tokens": 24}
TOOLS = [{"name": TOOL, "description": "The weather in a city", "input_schema": WEATHER["function"]["parameters"]}]


def chat():
    answer = client.messages.create(**ASKED, system="Be brief.")
    return {"text": answer.content[0].text, "stop_reason": answer.stop_reason, "tokens": answer.usage.output_tokens}


def stream():
    with client.messages.stream(**ASKED) as events:
        joined = "".join(events.text_stream)
        answer = events.get_final_message()
    return {"joined": joined, "text": answer.content[0].text, "tokens": answer.usage.output_tokens}


def tools():
    messages = [{"role": "user", "content": "What is the weather in Riyadh?"}]
    asked = {"model": MODEL, "max_tokens": 64, "tools": TOOLS}
    first = client.messages.create(**asked, messages=messages)
    calls = [block for block in first.content if block.type == "tool_use"]
    if not calls:
        return {"text": first.content[0].text, "calls": []}
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "hot"} for call in calls]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    last = client.messages.create(**asked, messages=messages)
    return {"text": last.content[0].text, "calls": [{"name": call.name, "args": call.input} for call in calls]}


def count_tokens():
    return {"tokens": client.messages.count_tokens(model=MODEL, messages=ASKED["messages"]).input_tokens}


def rate_limited():
    for _ in range(2):
        client.with_options(api_key=LIMITED_KEY, max_retries=0).messages.create(**ASKED)


def wrong_key():
    return client.with_options(api_key="none").messages.create(**ASKED)


def unknown_model():
    return client.messages.create(**{**ASKED, "model": "none/none"})


report(chat, stream, tools, count_tokens, rate_limited, wrong_key, unknown_model)
