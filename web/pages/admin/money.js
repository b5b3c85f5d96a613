// The market's books, and the payouts that owners ask for.

import { h } from "../../vendor/preact.js";
import { moreOf } from "../../components/act.js";
import { Badge } from "../../components/badge.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { PayoutStatus, word } from "../../components/word.js";
import { complain, toast } from "../../components/toast.js";
import { When } from "../../components/when.js";
import { call } from "../../runtime/api.js";
import { money } from "../../runtime/format.js";
import { useLoad, useMore } from "../../runtime/load.js";
import { may } from "../../runtime/session.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";
import { reasonFor } from "./acts.js";

/** @typedef {import("../../runtime/api.js").Schemas["AdminWithdrawal"]} Payout */
/** @typedef {"processing" | "paid" | "rejected"} Next */

const PAGE = 100;

export default function Money() {
  const t = texts();
  return h("div", null, h("h1", null, t.money), h(Payouts, null), h(Books, null));
}

function Books() {
  const t = texts();
  const books = useLoad((signal) => call("GET /admin/finance/books", { signal }));
  const shown = loaded(books, ({ balanced, problems, accounts }) =>
    h(
      "div",
      null,
      h("p", null, h(Badge, { kind: balanced ? "good" : "bad", children: balanced ? t.balanced : t.unbalanced })),
      problems.map((problem) => h("p", { key: problem, class: "notice bad" }, h("bdi", null, problem))),
      table({
        caption: t.books,
        rows: accounts,
        keyOf: (row) => row.account,
        columns: [
          { key: "account", title: t.account, cell: (row) => word(words().accounts, row.account) },
          {
            key: "balance",
            title: t.balance,
            cell: (row) => money(row.balance_halala),
            sort: (row) => row.balance_halala,
            isNumber: true,
            width: 110,
          },
        ],
      }),
    ),
  );
  return h("section", { "aria-labelledby": "books" }, h("h2", { id: "books" }, t.books), shown);
}

function Payouts() {
  const t = texts();
  const payouts = useMore(async (page, signal) => {
    const told = await call("GET /admin/withdrawals", { query: { page: page + 1, limit: PAGE }, signal });
    return { rows: told.withdrawals, hasMore: (page + 1) * PAGE < told.total, told };
  });
  const shown = loaded(payouts, ({ rows, more }) => h("div", null, listed(rows, payouts.reload), moreOf(more)));
  return h("section", { "aria-labelledby": "payouts" }, h("h2", { id: "payouts" }, t.withdrawals), shown);
}

/** @param {Payout} payout @param {Next} status @param {() => void} done */
async function move(payout, status, done) {
  const t = texts();
  /** @type {{status: Next, reason?: string, bank_reference?: string}} */
  const body = { status };
  if (
    status === "processing" &&
    !(await ask({ title: t.processQuestion, text: money(payout.amount_halala), act: t.process, isFinal: true }))
  )
    return;
  if (status === "rejected") {
    const reason = await reasonFor(t.refuseQuestion, t.refuse);
    if (!reason) return;
    body.reason = reason;
  }
  if (status === "paid") {
    const fields = h(TextField, { label: t.reference, name: "reference" });
    const given = await ask({
      title: t.payQuestion,
      text: money(payout.amount_halala),
      act: t.pay,
      isFinal: true,
      fields,
    });
    if (!given) return;
    const reference = String(given.get("reference"));
    if (reference) body.bank_reference = reference;
  }
  await call("PATCH /admin/withdrawals/{withdrawal_id}", { path: { withdrawal_id: payout.id }, body }).then(() => {
    toast(t.moved);
    done();
  }, complain);
}

/** @param {Payout[]} rows @param {() => void} done */
function listed(rows, done) {
  const t = texts();
  return table({
    caption: t.withdrawals,
    rows,
    empty: t.noWithdrawals,
    keyOf: (row) => row.id,
    columns: [
      {
        key: "provider",
        title: t.provider,
        cell: (row) => h("a", { href: `#/machines/${row.provider_id}` }, h("bdi", null, row.provider_name)),
        width: 130,
      },
      {
        key: "state",
        title: t.status,
        cell: (row) => h(PayoutStatus, { of: row.status }),
        width: 115,
      },
      { key: "amount", title: t.amount, cell: (row) => money(row.amount_halala), isNumber: true, width: 115 },
      { key: "acts", title: "", cell: (row) => acts(row, done), width: 170 },
      { key: "cash", title: t.cash, cell: (row) => money(row.cash_halala), isNumber: true, isExtra: true, width: 115 },
      { key: "iban", title: t.iban, cell: (row) => h("bdi", null, row.iban), isExtra: true, width: 225 },
      {
        key: "flags",
        title: t.flags,
        cell: (row) => row.flags.map((flag, at) => [at > 0 && " · ", word(words().traits, flag.shares)]),
        isExtra: true,
      },
      { key: "asked", title: t.when, cell: (row) => h(When, { at: row.created_at }), isExtra: true, width: 170 },
    ],
  });
}

/** @param {Payout} row @param {() => void} done */
function acts(row, done) {
  const t = texts();
  /** @param {string} title @param {Next} next */
  const button = (title, next) =>
    h("button", { key: next, type: "button", class: "plain", onClick: () => move(row, next, done) }, title);
  const mayMove = may("PATCH /admin/withdrawals/{withdrawal_id}");
  if (mayMove && row.status === "pending") return [button(t.process, "processing"), button(t.refuse, "rejected")];
  if (mayMove && row.status === "processing") return [button(t.pay, "paid"), button(t.refuse, "rejected")];
  return h("bdi", null, row.bank_reference ?? row.reason ?? "");
}
