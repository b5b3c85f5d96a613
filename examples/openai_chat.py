"""Stream a chat completion through the client of OpenAI, and print what it was counted as.

Reads DC1_URL and DC1_RENTER_KEY: `pip install openai`, then `python examples/openai_chat.py`.
"""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["DC1_URL"] + "/v1", api_key=os.environ["DC1_RENTER_KEY"])
model = client.models.list().data[0].id
stream = client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": "Why is the sea blue?"}], max_tokens=64, stream=True
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print("\n", chunk.id, chunk.usage.total_tokens, "tokens")
