// An owner's machines as they beat.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Approval, Status } from "../../components/badge.js";
import { Code } from "../../components/code.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { machineColumns } from "../../components/machine_columns.js";
import { table } from "../../components/table.js";
import { complain } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { number } from "../../runtime/format.js";
import { useMachines } from "../../runtime/live.js";
import texts from "../../text/owner.js";

/** @typedef {import("../../runtime/api.js").Schemas["LiveMachine"]} LiveMachine */

/** Those of the account, as they are now. */
export const useOwnMachines = () => useMachines("GET /providers/me/machines/stream");

export default function Machines() {
  const t = texts();
  const { rows, isLive, error } = useOwnMachines();
  const [key, setKey] = useState("");
  const add = async () => {
    const fields = h(TextField, { label: t.name, name: "name", required: true });
    const given = await ask({ title: t.addMachine, text: t.addNote, act: t.addMachine, fields });
    if (!given) return;
    const body = { name: String(given.get("name")) };
    await call("POST /providers/me/machines", { body, once: true }).then((made) => setKey(made.api_key), complain);
  };
  return h(
    "div",
    null,
    h("h1", null, t.machines),
    h(Liveness, { isLive, error }),
    key &&
      h("div", { class: "notice", role: "status" }, h("p", null, t.added), h(Code, { label: t.key, children: key })),
    h("p", { class: "acts" }, h("button", { type: "button", class: "main", onClick: add }, t.addMachine)),
    loaded({ value: rows, error }, machineTable),
  );
}

/** @param {LiveMachine[]} rows */
export function machineTable(rows) {
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
      { key: "status", title: t.status, cell: stated, sort: stateOf, width: 115 },
      gpu,
      busy,
      {
        key: "warm",
        title: t.temperature,
        cell: (row) => (row.temp_c == null ? "–" : t.degrees(number(row.temp_c))),
        sort: (row) => row.temp_c ?? -1,
        isNumber: true,
        isExtra: true,
        width: 95,
      },
      slots,
      {
        key: "score",
        title: t.reputation,
        cell: (row) => number(row.reputation_score),
        sort: (row) => row.reputation_score,
        isNumber: true,
        isExtra: true,
        width: 95,
      },
      heard,
    ],
  });
}

/** What matters most of how it stands: until it is approved nothing else does. @param {LiveMachine} machine */
const stateOf = (machine) => (machine.approval_status === "approved" ? machine.status : machine.approval_status);

/** @param {LiveMachine} machine */
const stated = (machine) =>
  machine.approval_status === "approved"
    ? h(Status, { of: machine.status })
    : h(Approval, { of: machine.approval_status });
