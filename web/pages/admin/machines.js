// The fleet as it beats, with filters.

import { h } from "../../vendor/preact.js";
import { useMemo, useState } from "../../vendor/hooks.js";
import { Approval, Badge, Status } from "../../components/badge.js";
import { StatusField, TextField } from "../../components/field.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { word } from "../../components/word.js";
import { machineColumns } from "../../components/machine_columns.js";
import { table } from "../../components/table.js";
import { number } from "../../runtime/format.js";
import { useMachines } from "../../runtime/live.js";
import { folded, searchable } from "../../runtime/search.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";

/** @typedef {import("../../runtime/api.js").Schemas["LiveMachine"]} LiveMachine */

const STATES = /** @type {const} */ (["online", "degraded", "offline", "registered", "paused", "suspended"]);

export default function Machines() {
  const t = texts();
  const { rows, isLive, error } = useMachines("GET /admin/providers/stream");
  const [text, setText] = useState("");
  const [state, setState] = useState("");
  const shown = useMemo(() => filtered(rows ?? [], folded(text.trim()), state), [rows, text, state]);
  return h(
    "div",
    null,
    h("h1", null, t.machines),
    h(Liveness, { isLive, error }, " · ", t.ofThese(number(shown.length), number(rows?.length))),
    h(
      "div",
      { class: "filters", role: "search" },
      h(TextField, { label: t.search, type: "search", value: text, set: setText }),
      h(StatusField, { label: t.status, value: state, set: setState, states: STATES, any: t.anyState }),
    ),
    loaded({ value: rows && shown, error }, listed),
  );
}

const toldOf = searchable((/** @type {LiveMachine} */ row) => [row.name, row.gpu_type, row.location, String(row.id)]);

/** @param {LiveMachine[]} rows @param {string} text @param {string} state */
const filtered = (rows, text, state) =>
  rows.filter((row) => (!state || row.status === state) && (!text || toldOf(row).includes(text)));

/** @param {LiveMachine[]} rows */
function listed(rows) {
  const t = texts();
  const { name, gpu, busy, slots, heard } = machineColumns(t);
  return table({
    caption: t.machines,
    rows,
    empty: t.noMachines,
    keyOf: (row) => row.id,
    href: (row) => `#/machines/${row.id}`,
    columns: [
      name,
      {
        key: "status",
        title: t.status,
        cell: (row) => h(Status, { of: row.status }),
        sort: (row) => row.status,
        width: 110,
      },
      gpu,
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
      busy,
      slots,
      {
        key: "approval",
        title: t.approval,
        cell: (row) => h(Approval, { of: row.approval_status }),
        sort: (row) => row.approval_status,
        isExtra: true,
        width: 140,
      },
      heard,
    ],
  });
}
