// The fleet as it beats, with filters.

import { h } from "../../vendor/preact.js";
import { useMemo, useState } from "../../vendor/hooks.js";
import { Badge, Status } from "../../components/badge.js";
import { SelectField, TextField } from "../../components/field.js";
import { Refused } from "../../components/notice.js";
import { word } from "../../components/word.js";
import { table } from "../../components/table.js";
import { ago, number, percent } from "../../runtime/format.js";
import { useLive } from "../../runtime/live.js";
import common from "../../text/common.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";

/** @typedef {import("../../runtime/api.js").Schemas["LiveMachine"]} LiveMachine */

const STATES = /** @type {const} */ (["online", "degraded", "offline", "registered", "paused", "suspended"]);

/** Every machine of the market, as it is now. */
export function useFleet() {
  const live = useLive(
    "GET /admin/providers/stream",
    (event) => /** @type {LiveMachine[] | undefined} */ (event.machines),
  );
  return { ...live, rows: live.rows?.filter((machine) => !machine.is_closed) };
}

export default function Machines() {
  const t = texts();
  const { rows, isLive, error } = useFleet();
  const [text, setText] = useState("");
  const [state, setState] = useState("");
  const shown = useMemo(() => filtered(rows ?? [], text.trim().toLowerCase(), state), [rows, text, state]);
  const names = common().states;
  /** @type {[string, string][]} */
  const choices = [["", t.anyState], ...STATES.map((name) => /** @type {[string, string]} */ ([name, names[name]]))];
  return h(
    "div",
    null,
    h("h1", null, t.machines),
    h(
      "p",
      { class: "quiet", role: "status" },
      isLive ? t.live : t.reconnecting,
      " · ",
      t.ofThese(number(shown.length), number(rows?.length)),
    ),
    error !== undefined && h(Refused, { error }),
    h(
      "div",
      { class: "filters", role: "search" },
      h(TextField, { label: t.search, type: "search", value: text, set: setText }),
      h(SelectField, { label: t.status, value: state, set: setState, options: choices }),
    ),
    listed(shown),
  );
}

/** @param {LiveMachine[]} rows @param {string} text @param {string} state */
const filtered = (rows, text, state) =>
  rows.filter(
    (row) =>
      (!state || row.status === state) &&
      (!text || [row.name, row.gpu_type, row.location, String(row.id)].some((one) => one.toLowerCase().includes(text))),
  );

/** @param {LiveMachine[]} rows */
function listed(rows) {
  const t = texts();
  return table({
    caption: t.machines,
    rows,
    empty: t.noMachines,
    keyOf: (row) => row.id,
    href: (row) => `#/machines/${row.id}`,
    columns: [
      { key: "name", title: t.name, cell: (row) => h("bdi", null, row.name), sort: (row) => row.name, width: 140 },
      {
        key: "status",
        title: t.status,
        cell: (row) => h(Status, { of: row.status }),
        sort: (row) => row.status,
        width: 110,
      },
      {
        key: "gpu",
        title: t.gpu,
        cell: (row) => h("bdi", null, row.gpu_type || "–"),
        sort: (row) => row.gpu_type,
        width: 115,
      },
      {
        key: "source",
        title: t.source,
        cell: (row) =>
          row.hardware_notice
            ? h(Badge, { kind: "bad", children: word(words().gpuSources, row.gpu_source) })
            : word(words().gpuSources, row.gpu_source),
        sort: (row) => row.gpu_source,
        isExtra: true,
        width: 115,
      },
      {
        key: "tops",
        title: t.measuredTops,
        cell: (row) => number(row.tops_int8, 1),
        sort: (row) => row.tops_int8 ?? -1,
        isNumber: true,
        isExtra: true,
        width: 110,
      },
      {
        key: "busy",
        title: t.busy,
        cell: (row) => percent(row.gpu_util_pct),
        sort: (row) => row.gpu_util_pct ?? -1,
        isNumber: true,
        width: 85,
      },
      {
        key: "slots",
        title: t.slots,
        cell: (row) => t.of(number(row.slots_used), number(row.slots)),
        isNumber: true,
        isExtra: true,
        width: 85,
      },
      {
        key: "approval",
        title: t.approval,
        cell: (row) => h(Status, { of: row.approval_status }),
        sort: (row) => row.approval_status,
        isExtra: true,
        width: 110,
      },
      { key: "heard", title: t.heard, cell: (row) => ago(row.last_heartbeat), isExtra: true, width: 125 },
    ],
  });
}
