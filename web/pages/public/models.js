// The models that can be called by the token, with their prices.

import { h } from "../../vendor/preact.js";
import { Badge } from "../../components/badge.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { call } from "../../runtime/api.js";
import { duration, money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/public.js";

/** @typedef {import("../../runtime/api.js").Schemas["ServedModel"]} Model */

export function Models() {
  const models = useLoad((signal) => call("GET /v1/models", { signal }));
  return loaded(models, ({ data }) => h(Listed, { rows: data }));
}

/** @param {{rows: Model[]}} props */
function Listed({ rows }) {
  const t = texts();
  /** @param {Model} row */
  const state = (row) =>
    h(Badge, {
      kind: row.providers_online ? "good" : "plain",
      children: row.providers_online ? t.available : t.unavailable,
    });
  return table({
    caption: t.models,
    rows,
    keyOf: (row) => row.id,
    empty: t.noModels,
    columns: [
      { key: "model", title: t.model, cell: (row) => h("bdi", null, row.id), sort: (row) => row.id, width: 240 },
      {
        key: "prompt",
        title: t.promptPrice,
        isNumber: true,
        cell: (row) => money(row.pricing.halala_per_1m_tokens),
        sort: (row) => row.pricing.halala_per_1m_tokens,
      },
      {
        key: "answer",
        title: t.answerPrice,
        isNumber: true,
        cell: (row) => money(row.pricing.halala_per_1m_completion_tokens),
        sort: (row) => row.pricing.halala_per_1m_completion_tokens,
      },
      {
        key: "speed",
        title: t.speed,
        isNumber: true,
        isExtra: true,
        cell: (row) => number(row.tokens_per_second_p50, 1),
        sort: (row) => row.tokens_per_second_p50 ?? -1,
      },
      {
        key: "first",
        title: t.firstWord,
        isNumber: true,
        isExtra: true,
        cell: (row) => duration(row.ttft_ms_p50 === null ? null : row.ttft_ms_p50 / 1000),
        sort: (row) => row.ttft_ms_p50 ?? Infinity,
      },
      {
        key: "machines",
        title: t.machinesWith,
        isNumber: true,
        cell: (row) => number(row.providers_online),
        sort: (row) => row.providers_online,
        width: 90,
      },
      { key: "state", title: t.status, cell: state, width: 110 },
    ],
  });
}
