// Server-sent events over fetch: EventSource sends no headers, and a key has no place in an address.

import { ApiError, request } from "./api.js";

/** @typedef {import("./api.js").Routes} Routes */
/** @typedef {{name: string, id: string, data: string}} Message */

const PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
const LAST = "end";

/** Take whole messages off the front of a text. @param {string} text @returns {[Message[], string]} and what is left */
function take(text) {
  const parts = text.split(/\r?\n\r?\n/);
  const left = parts.pop() ?? "";
  return [parts.map(read), left];
}

/** @param {string} block @returns {Message} */
function read(block) {
  const message = { name: "message", id: "", data: "" };
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value = ""] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === "event") message.name = value;
    else if (field === "id") message.id = value;
    else if (field === "data") data.push(value);
  }
  return { ...message, data: data.join("\n") };
}

/**
 * Read the events of one answer as they come.
 *
 * @param {Response} answer
 * @returns {AsyncGenerator<Message>}
 */
export async function* messages(answer) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
      const [whole, left] = take(text + read.value);
      text = left;
      // A block without data keeps the connection open and says nothing.
      yield* whole.filter((message) => message.data !== "");
    }
  } finally {
    // Whoever has heard enough leaves; the server would go on otherwise.
    reader?.cancel().catch(() => {});
  }
}

/**
 * Follow a stream until it says `end` or `signal` aborts, coming back where it broke off.
 *
 * @template {keyof Routes} R
 * @param {R} route
 * @param {import("./api.js").Given<R> & {signal: AbortSignal}} given
 * @param {(event: NonNullable<Routes[R]["event"]>, name: string) => void} heard
 * @param {(isLive: boolean) => void} [told] of whether the stream is there now
 */
export async function follow(route, given, heard, told = () => {}) {
  let last = "";
  let pause = PAUSE_MS;
  while (!given.signal.aborted) {
    let leastMs = 0;
    try {
      const headers = { accept: "text/event-stream", ...(last ? { "last-event-id": last } : {}) };
      const answer = await request(route, { ...given, headers });
      // 204: what there was to say has been said.
      if (answer.status === 204) return;
      told(true);
      for await (const message of messages(answer)) {
        // Only now: one that takes everybody in and says nothing is not well yet.
        pause = PAUSE_MS;
        last = message.id || last;
        heard(JSON.parse(message.data), message.name);
        if (message.name === LAST) return;
      }
    } catch (error) {
      if (given.signal.aborted) return;
      // What was refused for good is refused again; what is down or busy comes back.
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      if (error instanceof ApiError) leastMs = 1000 * (error.retryAfterSeconds ?? 0);
    }
    told(false);
    // Not all at once after a restart of the server, which ended all of them at once.
    await new Promise((done) => setTimeout(done, Math.max(pause * (0.5 + Math.random()), leastMs)));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}
