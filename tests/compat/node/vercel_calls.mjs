// Vercel's AI SDK: its providers for OpenAI and for what is compatible with it.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { HELLO, MODEL, report } from "./features.mjs";

const baseURL = process.env.OPENAI_BASE_URL;
const apiKey = process.env.OPENAI_API_KEY;
const market = createOpenAICompatible({ name: "dc1", baseURL, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const model = market(MODEL);
const asked = { model, prompt: HELLO, maxOutputTokens: 24 };
const City = z.object({ name: z.string(), people: z.number().int() });

await report({
  async chat() {
    const { text, usage } = await generateText(asked);
    return { text, tokens: usage.outputTokens };
  },
  async stream() {
    const stream = streamText(asked);
    let joined = "";
    for await (const piece of stream.textStream) joined += piece;
    return { joined, text: await stream.text, tokens: (await stream.usage).outputTokens };
  },
  async tools() {
    let called = null;
    const weather = tool({
      description: "The weather in a city", inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => { called = city; return "hot"; },
    });
    const { text } = await generateText({ ...asked, maxOutputTokens: 64, tools: { weather }, stopWhen: stepCountIs(3) });
    return { text, called };
  },
  async structured() {
    return (await generateObject({ ...asked, maxOutputTokens: 200, temperature: 0, schema: City })).object;
  },
  async openai_chat() {
    return { text: (await generateText({ ...asked, model: createOpenAI({ baseURL, apiKey }).chat(MODEL) })).text };
  },
  wrong_key: () => generateText({ ...asked, model: createOpenAICompatible({ name: "dc1", baseURL, apiKey: "none" })(MODEL) }),
  unknown_model: () => generateText({ ...asked, model: market("none/none") }),
});
