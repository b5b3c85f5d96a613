// Rates by kind of work, factors by GPU, and what tokens cost by model.

import { h } from "../../vendor/preact.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { jobType } from "../../components/word.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import { may } from "../../runtime/session.js";
import texts from "../../text/admin.js";

export default function Prices() {
  const t = texts();
  return h("div", null, h("h1", null, t.prices), h(Rates, null), h(Factors, null), h(TokenPrices, null));
}

/** A number that was asked for, null where it is not to change. @param {string} title @param {string} label @param {number} value @param {number | "any"} step */
async function numberFor(title, label, value, step) {
  const fields = h(TextField, { label, name: "value", type: "number", min: 0, step, required: true, value });
  const given = await ask({ title, act: texts().save, fields });
  return given && Number(given.get("value"));
}

/** Do it, say so, and offer the way back. @param {() => Promise<unknown>} act @param {(() => Promise<unknown>) | undefined} undo @param {() => void} done */
const change = (act, undo, done) =>
  act().then(() => {
    toast(texts().saved, undo && (() => undo().then(done)));
    done();
  }, complain);

function Rates() {
  const t = texts();
  const prices = useLoad((signal) => call("GET /admin/pricing", { signal }));
  /** @param {import("../../runtime/api.js").Schemas["Price"]} row */
  const edit = async (row) => {
    const wanted = await numberFor(row.job_type, t.rate, row.rate_halala, 1);
    /** @param {number} rate_halala */
    const set = (rate_halala) =>
      call("PATCH /admin/pricing/{job_type}", { path: { job_type: row.job_type }, body: { rate_halala } });
    if (wanted !== null)
      await change(
        () => set(wanted),
        () => set(row.rate_halala),
        prices.reload,
      );
  };
  const shown = loaded(prices, ({ prices: rows }) =>
    table({
      caption: t.rates,
      rows,
      keyOf: (row) => row.job_type,
      columns: [
        { key: "type", title: t.type, cell: (row) => jobType(row.job_type) },
        { key: "rate", title: t.rate, cell: (row) => number(row.rate_halala), isNumber: true, width: 160 },
        {
          key: "act",
          title: "",
          cell: (row) =>
            may("PATCH /admin/pricing/{job_type}") &&
            h("button", { type: "button", class: "plain", onClick: () => edit(row) }, t.change),
          width: 120,
        },
      ],
    }),
  );
  return h("section", { "aria-labelledby": "rates" }, h("h2", { id: "rates" }, t.rates), shown);
}

function Factors() {
  const t = texts();
  const factors = useLoad((signal) => call("GET /admin/gpu-factors", { signal }));
  /** @param {string} gpu_model @param {number} factor */
  const set = (gpu_model, factor) =>
    call("PATCH /admin/gpu-factors/{gpu_model}", { path: { gpu_model }, body: { factor } });
  /** @param {import("../../runtime/api.js").Schemas["GpuFactor"]} row */
  const edit = async (row) => {
    const wanted = await numberFor(row.gpu_model, t.factor, row.factor, "any");
    if (wanted !== null)
      await change(
        () => set(row.gpu_model, wanted),
        () => set(row.gpu_model, row.factor),
        factors.reload,
      );
  };
  const add = async () => {
    const fields = [
      h(TextField, { label: t.gpu, name: "gpu", required: true }),
      h(TextField, { label: t.factor, name: "factor", type: "number", min: 0, step: "any", required: true }),
    ];
    const given = await ask({ title: t.addFactor, act: t.save, fields });
    if (given)
      await change(() => set(String(given.get("gpu")), Number(given.get("factor"))), undefined, factors.reload);
  };
  const shown = loaded(factors, ({ factors: rows }) =>
    table({
      caption: t.factors,
      rows,
      keyOf: (row) => row.gpu_model,
      columns: [
        { key: "gpu", title: t.gpu, cell: (row) => h("bdi", null, row.gpu_model), sort: (row) => row.gpu_model },
        {
          key: "factor",
          title: t.factor,
          cell: (row) => number(row.factor, 2),
          sort: (row) => row.factor,
          isNumber: true,
          width: 160,
        },
        {
          key: "act",
          title: "",
          cell: (row) =>
            may("PATCH /admin/gpu-factors/{gpu_model}") &&
            h("button", { type: "button", class: "plain", onClick: () => edit(row) }, t.change),
          width: 120,
        },
      ],
    }),
  );
  const button =
    may("PATCH /admin/gpu-factors/{gpu_model}") &&
    h("p", { class: "acts" }, h("button", { type: "button", onClick: add }, t.addFactor));
  return h("section", { "aria-labelledby": "factors" }, h("h2", { id: "factors" }, t.factors), shown, button);
}

function TokenPrices() {
  const t = texts();
  const prices = useLoad((signal) => call("GET /admin/token-prices", { signal }));
  /** @typedef {{prompt_halala: number, completion_halala: number | null, cached_halala: number | null}} Prices */
  /** @param {string} model @param {Prices} body */
  const set = (model, body) => call("PATCH /admin/token-prices/{model}", { path: { model }, body });
  /** @param {Prices} row @returns {Prices} */
  const pricesOf = ({ prompt_halala, completion_halala, cached_halala }) => ({
    prompt_halala,
    completion_halala,
    cached_halala,
  });
  /** @param {({model: string} & Prices)} [row] of one that has prices */
  const edit = async (row) => {
    /** @param {string} label @param {string} name @param {number | null | undefined} value @param {boolean} [required] */
    const field = (label, name, value, required = false) =>
      h(TextField, { label, name, type: "number", min: 0, required, value: value ?? "" });
    const fields = [
      !row && h(TextField, { label: t.model, name: "model", required: true }),
      field(t.prompt, "prompt", row?.prompt_halala, true),
      field(t.answer, "answer", row?.completion_halala),
      field(t.cached, "cached", row?.cached_halala),
    ];
    const title = row ? h("bdi", null, row.model) : t.addModel;
    const given = await ask({ title, act: t.save, fields });
    if (!given) return;
    /** @param {string} name */
    const said = (name) => (given.get(name) ? Number(given.get(name)) : null);
    const body = {
      prompt_halala: Number(given.get("prompt")),
      completion_halala: said("answer"),
      cached_halala: said("cached"),
    };
    const model = row?.model ?? String(given.get("model"));
    await change(() => set(model, body), row && (() => set(model, pricesOf(row))), prices.reload);
  };
  const shown = loaded(prices, ({ prices: rows }) =>
    table({
      caption: t.tokenPrices,
      rows,
      keyOf: (row) => row.model,
      columns: [
        { key: "model", title: t.model, cell: (row) => h("bdi", null, row.model) },
        { key: "prompt", title: t.prompt, cell: (row) => number(row.prompt_halala), isNumber: true, width: 110 },
        { key: "answer", title: t.answer, cell: (row) => number(row.completion_halala), isNumber: true, width: 110 },
        {
          key: "cached",
          title: t.cached,
          cell: (row) => number(row.cached_halala),
          isNumber: true,
          isExtra: true,
          width: 110,
        },
        {
          key: "act",
          title: "",
          cell: (row) =>
            may("PATCH /admin/token-prices/{model}") &&
            h("button", { type: "button", class: "plain", onClick: () => edit(row) }, t.change),
          width: 120,
        },
      ],
    }),
  );
  const button =
    may("PATCH /admin/token-prices/{model}") &&
    h("p", { class: "acts" }, h("button", { type: "button", onClick: () => edit() }, t.addModel));
  return h("section", { "aria-labelledby": "tokens" }, h("h2", { id: "tokens" }, t.tokenPrices), shown, button);
}
