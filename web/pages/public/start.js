// How to begin, as a renter and as an owner.

import { h } from "../../vendor/preact.js";
import { Code } from "../../components/code.js";
import { daemon } from "../../runtime/install.js";
import { SITE } from "../../runtime/site.js";
import texts from "../../text/public.js";

const RENTER = `curl -sS ${SITE.base}/renters/register -H 'content-type: application/json' \\
  -d '{"name":"Lama Qahtani","email":"lama@example.sa"}'`;
const JOB = `curl -sS ${SITE.base}/jobs/submit -H "x-renter-key: $DC1_RENTER_KEY" \\
  -H 'content-type: application/json' \\
  -d '{"job_type":"llm_inference","duration_minutes":3,"params":{"prompt":"Why is the sea blue?"}}'`;
const CHAT = `from openai import OpenAI

client = OpenAI(base_url="${new URL(SITE.base).origin}/v1", api_key=renter_key)
answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "مرحبا"}])`;
const OWNER = `curl -sS ${SITE.base}/providers/register -H 'content-type: application/json' \\
  -d '{"name":"Najd GPU","email":"gpu@example.sa","gpu_model":"RTX 4090","os":"linux"}'`;

export default function Start() {
  const t = texts();
  /** @param {string[]} steps */
  const list = (steps) =>
    h(
      "ol",
      null,
      steps.map((step) => h("li", { key: step }, step)),
    );
  /** @param {string} label @param {string} code */
  const sample = (label, code) => [h("h3", null, label), h(Code, { label, children: code })];
  /** @param {"renter" | "owner"} role */
  const open = (role) =>
    h("p", null, h("a", { class: "button", href: `${SITE.console}#/register?as=${role}` }, t.openHere));
  return h(
    "div",
    null,
    h("h1", null, t.start),
    h(
      "div",
      { class: "columns" },
      h(
        "section",
        { "aria-labelledby": "renters" },
        h("h2", { id: "renters" }, t.forRenters),
        list(t.renterSteps),
        open("renter"),
        sample(t.register, RENTER),
        sample(t.sendJob, JOB),
        sample(t.chat, CHAT),
      ),
      h(
        "section",
        { "aria-labelledby": "owners" },
        h("h2", { id: "owners" }, t.forOwners),
        list(t.ownerSteps),
        open("owner"),
        sample(t.register, OWNER),
        sample(t.daemon, daemon()),
      ),
    ),
    h("p", null, h("a", { class: "button", href: SITE.console }, t.console), " ", h("a", { href: SITE.docs }, t.docs)),
  );
}
