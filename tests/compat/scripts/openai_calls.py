"""The official client of OpenAI for Python, set up by the environment alone."""

import asyncio
import base64
import json

import openai
from features import HELLO, LIMITED_KEY, MODEL, TOOL, WEATHER, report, told
from pydantic import BaseModel

client = openai.OpenAI(timeout=120)
QUESTION = [{"role": "user", "content": "What is the weather in Riyadh?"}]
RECORDING = b"sea" * 500
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": HELLO}], "max_tokens": 24}


class City(BaseModel):
    name: str
    people: int


def chat():
    answer = client.chat.completions.create(**ASKED, temperature=0, seed=1, user="u-1")
    return {"text": answer.choices[0].message.content, "tokens": answer.usage.completion_tokens, "model": answer.model}


def stream():
    events = list(client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}))
    texts = [event.choices[0].delta.content or "" for event in events if event.choices]
    return {"joined": "".join(texts), "pieces": len(texts), "tokens": events[-1].usage.completion_tokens}


def tools():
    messages = [*QUESTION]
    asked = {"model": MODEL, "tools": [WEATHER], "max_tokens": 200, "temperature": 0}
    first = client.chat.completions.create(**asked, messages=messages, tool_choice="required").choices[0]
    (call, *_) = first.message.tool_calls
    messages += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "hot"}]
    last = client.chat.completions.create(**asked, messages=messages, tool_choice="none").choices[0]
    calls = [{"name": call.function.name, "args": json.loads(call.function.arguments)}]
    return {"finish_reason": first.finish_reason, "calls": calls, "text": last.message.content}


def streamed_tools():
    asked = {"model": MODEL, "messages": QUESTION, "tools": [WEATHER], "max_tokens": 200, "temperature": 0}
    choice = {"type": "function", "function": {"name": TOOL}}
    with client.chat.completions.stream(**asked, tool_choice=choice) as events:
        pieces = [event.arguments_delta for event in events if event.type == "tool_calls.function.arguments.delta"]
        (call, *_) = events.get_final_completion().choices[0].message.tool_calls
    calls = [{"name": call.function.name, "args": json.loads(call.function.arguments)}]
    return {"calls": calls, "joined": json.loads("".join(pieces))}


def structured():
    answer = client.chat.completions.parse(**{**ASKED, "max_tokens": 200}, response_format=City, temperature=0)
    return answer.choices[0].message.parsed.model_dump()


def several():
    answer = client.chat.completions.create(**ASKED, n=2, logprobs=True)
    return {
        "texts": [choice.message.content for choice in answer.choices],
        "tokens": [len(choice.logprobs.content) for choice in answer.choices],
    }


def models():
    page = client.models.list()
    return {
        "ids": sorted(model.id for model in page),
        "more": page.has_next_page(),
        "same": client.models.retrieve(MODEL).id,
    }


def headers():
    raw = client.chat.completions.with_raw_response.create(**ASKED)
    answer = raw.parse()
    return {**raw.headers, "_request_id": answer._request_id}


def picture():
    url = f"data:image/png;base64,{base64.b64encode(bytes(3_000_000)).decode()}"
    content = [{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=99)
    return {"text": answer.choices[0].message.content}


def completion():
    answer = client.completions.create(model=MODEL, prompt="The sea is", max_tokens=8)
    return {"text": answer.choices[0].text, "tokens": answer.usage.completion_tokens}


def streamed_completion():
    pieces = client.completions.create(model=MODEL, prompt="The sea is", max_tokens=8, stream=True)
    return {"joined": "".join(piece.choices[0].text for piece in pieces if piece.choices)}


def embeddings():
    # As floats in base64, which is how this client asks.
    answer = client.embeddings.create(model=MODEL, input=["The sea", "The desert"])
    return {"lengths": [len(each.embedding) for each in answer.data], "tokens": answer.usage.prompt_tokens}


def response():
    answer = client.responses.create(model=MODEL, input=HELLO, max_output_tokens=24)
    return {"text": answer.output_text, "tokens": answer.usage.output_tokens}


def streamed_response():
    # Long enough: of an answer that is cut this client has no final response.
    with client.responses.stream(model=MODEL, input=HELLO, max_output_tokens=400, temperature=0) as events:
        joined = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        return {"joined": joined, "text": events.get_final_response().output_text}


def parsed_response():
    answer = client.responses.parse(model=MODEL, input=HELLO, max_output_tokens=200, temperature=0, text_format=City)
    return answer.output_parsed.model_dump()


def speech():
    with client.audio.speech.with_streaming_response.create(model=MODEL, input=HELLO, voice="any") as sound:
        return {"bytes": sum(map(len, sound.iter_bytes())), "type": sound.headers["content-type"]}


def transcription():
    answer = client.audio.transcriptions.create(model=MODEL, file=("a.mp3", RECORDING))
    return {"text": answer.text, "tokens": answer.usage.input_tokens}


def transcribed_srt():
    return {"text": client.audio.transcriptions.create(model=MODEL, file=RECORDING, response_format="srt")}


def streamed_transcription():
    events = list(client.audio.transcriptions.create(model=MODEL, file=RECORDING, stream=True))
    return {"joined": "".join(event.delta for event in events[:-1]), "text": events[-1].text}


def rate_limited():
    limited = client.with_options(api_key=LIMITED_KEY, max_retries=0)
    for _ in range(2):
        limited.chat.completions.create(**ASKED)


def wrong_key():
    return client.with_options(api_key="dc1-renter-none").chat.completions.create(**ASKED)


def unknown_model():
    return client.chat.completions.create(**{**ASKED, "model": "none/none"})


def odd_value():
    return client.chat.completions.create(**ASKED, temperature=7)


def too_long():
    return client.chat.completions.create(**{**ASKED, "messages": [{"role": "user", "content": "sea " * 60_000}]})


def no_such_path():
    return client.batches.list()


def time_out():
    # Far less than so many tokens take: who is not given the processor in time may find the answer to a short call.
    patient = client.with_options(timeout=0.05, max_retries=0)
    return patient.chat.completions.create(**{**ASKED, "max_tokens": 2000}).model_dump()


def left_early():
    with client.chat.completions.create(**{**ASKED, "max_tokens": 2000}, stream=True) as pieces:
        next(iter(pieces))
    return chat()


async def parallel():
    async with openai.AsyncOpenAI(timeout=120) as many:
        calls = (many.chat.completions.create(**ASKED) for _ in range(20))
        answers = await asyncio.gather(*calls, return_exceptions=True)
    return {"wrong": [told(each) for each in answers if isinstance(each, BaseException)], "answers": len(answers)}


async def streamed_in_parallel():
    async def one(many):
        pieces = await many.chat.completions.create(**ASKED, stream=True)
        return "".join([piece.choices[0].delta.content or "" async for piece in pieces if piece.choices])

    async with openai.AsyncOpenAI(timeout=120) as many:
        return {"texts": await asyncio.gather(*(one(many) for _ in range(20)))}


report(
    *(chat, stream, tools, streamed_tools, structured, several, models, headers, picture),
    *(completion, streamed_completion, embeddings, response, streamed_response, parsed_response),
    *(speech, transcription, transcribed_srt, streamed_transcription, rate_limited),
    *(wrong_key, unknown_model, odd_value, too_long, no_such_path, time_out, left_early),
    *(parallel, streamed_in_parallel),
)
