// A call of the playground as its caller would write it. The key is a variable, so that none is copied along.

import { SITE } from "../../runtime/site.js";

/** @param {string} text of a shell, between single quotes */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** JSON as Python writes it: three words differ, and they stand outside texts. @param {string} json */
const literal = (json) =>
  json.replace(
    /"(?:[^"\\]|\\.)*"|true|false|null/g,
    (found) => ({ true: "True", false: "False", null: "None" })[found] ?? found,
  );

/**
 * @param {object} body
 * @returns {[name: string, text: string][]}
 */
export function samples(body) {
  const base = `${SITE.base}/v1`;
  const json = JSON.stringify(body, null, 2);
  const given = Object.entries(body).map(([name, value]) => `    ${name}=${literal(JSON.stringify(value))},`);
  return [
    [
      "cURL",
      `curl -N ${base}/chat/completions \\\n  -H "Authorization: Bearer $DC1_KEY" \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(json)}`,
    ],
    [
      "Python",
      `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${JSON.stringify(base)}, api_key=os.environ["DC1_KEY"])\n` +
        `answer = client.chat.completions.create(\n${given.join("\n")}\n)\nfor chunk in answer:\n    print(chunk.choices[0].delta.content or "", end="", flush=True)`,
    ],
    [
      "Node",
      `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.DC1_KEY });\n` +
        `const answer = await client.chat.completions.create(${json});\nfor await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");`,
    ],
  ];
}
