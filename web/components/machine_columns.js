// What a list of machines says of each, whoever reads it.

import { h } from "../vendor/preact.js";
import { ago, number, percent } from "../runtime/format.js";

/** @typedef {import("../runtime/live.js").LiveMachine} LiveMachine */
/** @typedef {import("./table.js").Column<LiveMachine>} Column */
/** @typedef {{name: string, gpu: string, busy: string, slots: string, heard: string, of: (used: string, all: string) => string}} Texts */

/** @param {Texts} t */
export const machineColumns = (t) => ({
  /** @type {Column} */
  name: { key: "name", title: t.name, cell: (row) => h("bdi", null, row.name), sort: (row) => row.name, width: 140 },
  /** @type {Column} */
  gpu: {
    key: "gpu",
    title: t.gpu,
    cell: (row) => h("bdi", null, row.gpu_type || "–"),
    sort: (row) => row.gpu_type,
    width: 115,
  },
  /** @type {Column} */
  busy: {
    key: "busy",
    title: t.busy,
    cell: (row) => percent(row.gpu_util_pct),
    sort: (row) => row.gpu_util_pct ?? -1,
    isNumber: true,
    width: 85,
  },
  /** @type {Column} */
  slots: {
    key: "slots",
    title: t.slots,
    cell: (row) => t.of(number(row.slots_used), number(row.slots)),
    isNumber: true,
    isExtra: true,
    width: 85,
  },
  /** @type {Column} */
  heard: { key: "heard", title: t.heard, cell: (row) => ago(row.last_heartbeat), isExtra: true, width: 125 },
});
