// What every script here does: tries each feature of its client, and prints as JSON what came of it.

export const MODEL = process.env.MODEL;
export const HELLO = process.env.PROMPT;
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

async function tried(feature) {
  try {
    return await feature();
  } catch (error) {
    return { error: error.constructor.name, status: error.status ?? error.statusCode ?? null, code: error.code ?? null,
      message: String(error.message).slice(0, 600) };
  }
}

export async function report(features) {
  const said = {};
  for (const [name, feature] of Object.entries(features)) said[name] = await tried(feature);
  console.log(JSON.stringify(said));
}
