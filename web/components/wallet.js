// The entries of a renter's wallet.

import { h } from "../vendor/preact.js";
import { money } from "../runtime/format.js";
import common from "../text/common.js";
import words from "../text/words.js";
import { table } from "./table.js";
import { jobId, word } from "./word.js";
import { When } from "./when.js";

/** @param {import("../runtime/api.js").Schemas["WalletEntry"][]} rows */
export function walletTable(rows) {
  const t = common().wallet;
  return table({
    caption: t.entries,
    rows,
    keyOf: (row) => row.id,
    columns: [
      { key: "when", title: t.when, cell: (row) => h(When, { at: row.created_at }), width: 170 },
      { key: "kind", title: t.kind, cell: (row) => word(words().walletKinds, row.kind), width: 130 },
      {
        key: "job",
        title: t.note,
        cell: (row) =>
          row.job_id
            ? h("a", { href: `#/jobs/${encodeURIComponent(row.job_id)}` }, jobId(row.job_id))
            : h("bdi", null, row.note ?? ""),
        isExtra: true,
      },
      {
        key: "amount",
        title: t.amount,
        cell: (row) => money(row.direction === "debit" ? -row.amount_halala : row.amount_halala),
        isNumber: true,
        width: 120,
      },
      { key: "after", title: t.after, cell: (row) => money(row.balance_after_halala), isNumber: true, width: 130 },
    ],
  });
}
