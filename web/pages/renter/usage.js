// What each key used of each model, day by day.

import { h } from "../../vendor/preact.js";
import { loaded } from "../../components/notice.js";
import { Plot } from "../../components/plot.js";
import { table } from "../../components/table.js";
import { complain } from "../../components/toast.js";
import { call, request } from "../../runtime/api.js";
import { day, money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/renter.js";

/** @typedef {import("../../runtime/api.js").Schemas["DailyUsage"]} DailyUsage */

const DAYS = 30;
const MOST_ROWS = 200;

export default function Usage() {
  const t = texts();
  const usage = useLoad((signal) =>
    call("GET /renters/me/usage/daily", { query: { days: DAYS, limit: MOST_ROWS }, signal }),
  );
  return h(
    "div",
    null,
    h("h1", null, t.usage),
    h("p", { class: "acts" }, h("button", { type: "button", onClick: save }, t.exportCsv)),
    loaded(usage, ({ usage: rows }) => h("div", null, rows.length > 0 && h(Tokens, { rows }), listed(rows))),
  );
}

/** The file is fetched with the key, which a link could not send. */
async function save() {
  try {
    const answer = await request("GET /renters/me/usage/export", {
      query: { days: DAYS },
      headers: { accept: "text/csv" },
    });
    const address = URL.createObjectURL(await answer.blob());
    Object.assign(document.createElement("a"), { href: address, download: "usage.csv" }).click();
    URL.revokeObjectURL(address);
  } catch (error) {
    complain(error);
  }
}

/** @param {{rows: DailyUsage[]}} props */
function Tokens({ rows }) {
  const t = texts();
  const days = [...new Set(rows.map((row) => row.day))].sort();
  /** @param {(row: DailyUsage) => number} of */
  const byDay = (of) => days.map((one) => rows.filter((row) => row.day === one).reduce((sum, row) => sum + of(row), 0));
  return h(Plot, {
    label: t.tokensByDay,
    isDaily: true,
    times: days.map((one) => Date.parse(one) / 1000),
    series: [
      { label: t.promptTokens, values: byDay((row) => row.prompt_tokens) },
      { label: t.completionTokens, values: byDay((row) => row.completion_tokens) },
    ],
  });
}

/** @param {DailyUsage[]} rows */
function listed(rows) {
  const t = texts();
  return table({
    caption: t.usage,
    rows,
    empty: t.noUsage,
    keyOf: (row) => `${row.day} ${row.key_id} ${row.model}`,
    columns: [
      { key: "day", title: t.day, cell: (row) => day(row.day), sort: (row) => row.day, width: 130 },
      { key: "model", title: t.model, cell: (row) => h("bdi", null, row.model), sort: (row) => row.model },
      {
        key: "key",
        title: t.key,
        cell: (row) => h("bdi", null, row.key_id),
        sort: (row) => row.key_id,
        isExtra: true,
        width: 150,
      },
      {
        key: "calls",
        title: t.calls,
        cell: (row) => number(row.calls),
        sort: (row) => row.calls,
        isNumber: true,
        width: 90,
      },
      {
        key: "in",
        title: t.promptTokens,
        cell: (row) => number(row.prompt_tokens),
        sort: (row) => row.prompt_tokens,
        isNumber: true,
        width: 120,
      },
      {
        key: "out",
        title: t.completionTokens,
        cell: (row) => number(row.completion_tokens),
        sort: (row) => row.completion_tokens,
        isNumber: true,
        width: 120,
      },
      {
        key: "kept",
        title: t.cachedTokens,
        cell: (row) => number(row.cached_tokens),
        isNumber: true,
        isExtra: true,
        width: 110,
      },
      {
        key: "cost",
        title: t.cost,
        cell: (row) => money(row.cost_halala),
        sort: (row) => row.cost_halala,
        isNumber: true,
        width: 100,
      },
    ],
  });
}
