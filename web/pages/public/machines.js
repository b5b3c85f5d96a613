// The machines that can be given work now, with filters.

import { h } from "../../vendor/preact.js";
import { useMemo, useState } from "../../vendor/hooks.js";
import { Badge, Status } from "../../components/badge.js";
import { named, SelectField, TextField } from "../../components/field.js";
import { table } from "../../components/table.js";
import { number, percent, sar } from "../../runtime/format.js";
import { folded, searchable } from "../../runtime/search.js";
import common from "../../text/common.js";
import texts from "../../text/public.js";

/** @typedef {import("../../runtime/api.js").Schemas["MarketProvider"]} Machine */
/** @typedef {{text: string, gpu: string, vram: string, price: string}} Wanted */

/** @type {Wanted} */
const ANYTHING = { text: "", gpu: "", vram: "", price: "" };

const toldOf = searchable((/** @type {Machine} */ machine) => [
  machine.name,
  machine.gpu_model,
  machine.location,
  ...machine.cached_models,
]);

/** @param {Machine[]} rows @param {Wanted} wanted */
function filtered(rows, wanted) {
  const text = folded(wanted.text.trim());
  const vram = Number(wanted.vram) || 0;
  const price = Number(wanted.price) || Infinity;
  return rows.filter(
    (row) =>
      toldOf(row).includes(text) &&
      (!wanted.gpu || row.gpu_type === wanted.gpu) &&
      row.vram_gb >= vram &&
      row.price_per_hour_sar <= price,
  );
}

/** @param {{rows: Machine[], isComing: boolean}} props `isComing` while there are more to come */
export function Machines({ rows, isComing }) {
  const t = texts();
  const [wanted, setWanted] = useState(ANYTHING);
  const shown = useMemo(() => filtered(rows, wanted), [rows, wanted]);
  const gpus = useMemo(() => [...new Set(rows.map((row) => row.gpu_type))].sort(), [rows]);
  /** @param {keyof Wanted} name */
  const set = (name) => (/** @type {string} */ value) => setWanted({ ...wanted, [name]: value });
  /** @type {[string, string][]} */
  const choices = [["", t.anyGpu], ...named(gpus)];
  return h(
    "div",
    null,
    h(
      "form",
      { class: "filters", role: "search", onSubmit: (/** @type {Event} */ event) => event.preventDefault() },
      h(TextField, { label: t.search, type: "search", value: wanted.text, set: set("text") }),
      h(SelectField, { label: t.gpu, value: wanted.gpu, set: set("gpu"), options: choices }),
      h(TextField, { label: t.leastVram, type: "number", min: 0, value: wanted.vram, set: set("vram") }),
      h(TextField, { label: t.mostPrice, type: "number", min: 0, step: "any", value: wanted.price, set: set("price") }),
    ),
    h(
      "p",
      { class: "quiet", role: "status" },
      t.shownOf(shown.length, number(rows.length)),
      isComing && ` · ${common().loading}`,
    ),
    table({ caption: t.machines, rows: shown, keyOf: (row) => row.id, columns: columns(), empty: t.noMachines }),
  );
}

/** @returns {import("../../components/table.js").Column<Machine>[]} */
function columns() {
  const t = texts();
  return [
    {
      key: "name",
      title: t.machine,
      cell: (row) => h("bdi", null, row.name),
      sort: (row) => row.name.toLowerCase(),
      width: 130,
    },
    {
      key: "gpu",
      title: t.gpu,
      cell: (row) => h("bdi", null, row.gpu_type || row.gpu_model),
      sort: (row) => row.gpu_type,
      width: 120,
    },
    {
      key: "price",
      title: t.pricePerHour,
      cell: (row) => sar(row.price_per_hour_sar),
      sort: (row) => row.price_per_hour_sar,
      isNumber: true,
      width: 80,
    },
    {
      key: "count",
      title: t.count,
      cell: (row) => number(row.gpu_count),
      sort: (row) => row.gpu_count,
      isNumber: true,
      width: 55,
    },
    {
      key: "vram",
      title: t.vram,
      cell: (row) => t.gib(number(row.vram_gb)),
      sort: (row) => row.vram_gb,
      isNumber: true,
      width: 75,
    },
    { key: "tops", title: t.tops, cell: measured, sort: (row) => row.tops_int8 ?? -1, isNumber: true, width: 120 },
    {
      key: "memory",
      title: t.memory,
      cell: (row) => number(row.memory_gbps),
      sort: (row) => row.memory_gbps ?? -1,
      isNumber: true,
      isExtra: true,
      width: 105,
    },
    {
      key: "place",
      title: t.place,
      cell: (row) => h("bdi", null, row.location),
      sort: (row) => row.location,
      isExtra: true,
      width: 110,
    },
    {
      key: "score",
      title: t.reliability,
      cell: (row) => percent(row.reliability_score),
      sort: (row) => row.reliability_score,
      isNumber: true,
      isExtra: true,
      width: 90,
    },
    {
      key: "status",
      title: t.status,
      cell: (row) => h(Status, { of: row.status }),
      sort: (row) => row.status,
      width: 95,
    },
  ];
}

/** What a probe proved, or why nothing of that can be relied on. @param {Machine} row */
function measured(row) {
  const t = texts();
  if (row.verification === "mismatch") return h(Badge, { kind: "bad", children: t.mismatch });
  if (row.tops_int8 === null) return h("span", { class: "quiet" }, t.notMeasured);
  return h(
    "span",
    { title: row.performance === "below_model" ? t.belowModel : "" },
    number(row.tops_int8, 1),
    row.performance === "below_model" ? " ⚠" : "",
  );
}
