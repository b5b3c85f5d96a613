// Payouts: what can be had, what was asked for, and what became of it.

import { h } from "../../vendor/preact.js";
import { Form } from "../../components/act.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { PayoutStatus } from "../../components/word.js";
import { complain, toast } from "../../components/toast.js";
import { When } from "../../components/when.js";
import { call } from "../../runtime/api.js";
import { halala, money } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/owner.js";

const MOST = 100;

export default function Payouts() {
  const t = texts();
  const earnings = useLoad((signal) => call("GET /providers/earnings", { signal }));
  const payouts = useLoad((signal) => call("GET /providers/me/withdrawals", { query: { limit: MOST }, signal }));
  /** @param {FormData} given @param {HTMLFormElement} form */
  const send = async (given, form) => {
    const body = {
      amount_halala: halala(Number(given.get("amount"))),
      iban: String(given.get("iban")).replaceAll(" ", ""),
    };
    const text = h("bdi", null, `${money(body.amount_halala)} → ${body.iban}`);
    if (!(await ask({ title: t.payoutQuestion, text, act: t.askPayout, isFinal: true }))) return;
    await call("POST /providers/me/withdraw", { body, once: true }).then(() => {
      toast(t.payoutAsked);
      form.reset();
      earnings.reload();
      payouts.reload();
    }, complain);
  };
  return h(
    "div",
    null,
    h("h1", null, t.payouts),
    loaded(earnings, (told) =>
      h(Figures, {
        of: [
          [t.claimable, money(told.claimable_earnings_halala)],
          [t.promo, money(told.promo_earnings_halala)],
        ],
      }),
    ),
    h(
      Form,
      { act: t.askPayout, send },
      h(TextField, { label: t.amount, name: "amount", type: "number", min: 0, step: "any", required: true }),
      h(TextField, { label: t.iban, name: "iban", required: true, placeholder: "SA03 8000 0000 6080 1016 7519" }),
    ),
    loaded(payouts, ({ withdrawals: rows }) => listed(rows)),
  );
}

/** @param {import("../../runtime/api.js").Schemas["Withdrawal"][]} rows */
function listed(rows) {
  const t = texts();
  return table({
    caption: t.payouts,
    rows,
    empty: t.noPayouts,
    keyOf: (row) => row.id,
    columns: [
      { key: "asked", title: t.asked, cell: (row) => h(When, { at: row.created_at }), width: 180 },
      {
        key: "state",
        title: t.status,
        cell: (row) => h(PayoutStatus, { of: row.status }),
        width: 120,
      },
      { key: "amount", title: t.amount, cell: (row) => money(row.amount_halala), isNumber: true, width: 120 },
      { key: "iban", title: t.iban, cell: (row) => h("bdi", null, row.iban_hint), isExtra: true, width: 170 },
      {
        key: "reference",
        title: t.bankReference,
        cell: (row) => h("bdi", null, row.bank_reference ?? row.reason ?? "–"),
        isExtra: true,
      },
    ],
  });
}
