// The official client of OpenAI for Node, set up by the environment alone.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { CITY, HELLO, MODEL, report } from "./features.mjs";

const client = new OpenAI({ timeout: 120_000 });
const asked = { model: MODEL, messages: [{ role: "user", content: HELLO }], max_tokens: 24 };
const tools = [{ type: "function", function: { name: "get_weather", parameters: CITY } }];

await report({
  async chat() {
    const { choices, usage } = await client.chat.completions.create(asked);
    return { text: choices[0].message.content, tokens: usage.completion_tokens };
  },
  async stream() {
    const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    let joined = "";
    for await (const piece of stream) joined += piece.choices[0]?.delta?.content ?? "";
    return { joined, text: await stream.finalContent(), tokens: (await stream.totalUsage()).completion_tokens };
  },
  async tools() {
    let called = null;
    // In one language: to two of them a small model may babble until it is cut off, which this client takes for an error.
    const messages = [{ role: "user", content: "What is the weather in Riyadh?" }];
    const weather = ({ city }) => { called = city; return "hot"; };
    const runner = client.chat.completions.runTools({ ...asked, messages, max_tokens: 200, temperature: 0, tools: [
      { type: "function", function: { ...tools[0].function, function: weather, parse: JSON.parse } },
    ] });
    return { text: await runner.finalContent(), called };
  },
  async structured() {
    const City = z.object({ name: z.string(), people: z.number().int() });
    const answer = await client.chat.completions.parse({
      ...asked, max_tokens: 200, temperature: 0, response_format: zodResponseFormat(City, "city"),
    });
    return answer.choices[0].message.parsed;
  },
  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return { ids, same: (await client.models.retrieve(MODEL)).id };
  },
  async left_early() {
    const stream = await client.chat.completions.create({ ...asked, max_tokens: 2000, stream: true });
    for await (const piece of stream) if (piece) break;
    return { text: stream.controller.signal.aborted && "left" };
  },
  async parallel() {
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.chat.completions.create(asked)));
    return { answers: answers.length };
  },
  wrong_key: () => client.withOptions({ apiKey: "dc1-renter-none" }).chat.completions.create(asked),
  unknown_model: () => client.chat.completions.create({ ...asked, model: "none/none" }),
  async headers() {
    const { data, response, request_id } = await client.chat.completions.create(asked).withResponse();
    return { same: data._request_id === request_id, left: Number(response.headers.get("x-ratelimit-remaining-requests")) };
  },
});
