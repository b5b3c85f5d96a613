// One renter: its money, its limits, and what may be done.

import { h } from "../../vendor/preact.js";
import { Status } from "../../components/badge.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { walletTable } from "../../components/wallet.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { halala, money, number, riyals } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import { may } from "../../runtime/session.js";
import common from "../../text/common.js";
import texts from "../../text/admin.js";
import { newestJobs } from "./newest_jobs.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */

/** @param {import("../../runtime/router.js").Place} place */
export default function Renter({ params }) {
  const t = texts();
  const path = { renter_id: params["id"] ?? "" };
  const found = useLoad((signal) => call("GET /admin/renters/{renter_id}", { path, signal }), [path.renter_id]);
  return h(
    "div",
    null,
    h("h1", null, t.renter, " ", h("bdi", null, found.value?.renter.name ?? "")),
    loaded(found, ({ renter, recent_jobs: jobs, transactions }) =>
      h(
        "div",
        null,
        h("p", null, h(Status, { of: renter.status }), " ", h("bdi", { class: "quiet" }, renter.email)),
        h(Figures, {
          of: [
            [t.balance, money(renter.balance_halala)],
            [t.held, money(renter.held_halala)],
            [t.spent, money(renter.total_spent_halala)],
            [t.jobs, number(renter.total_jobs)],
            [t.failed, number(renter.failed_jobs)],
            [t.keys, number(renter.live_keys)],
          ],
        }),
        h(Acts, { renter, done: found.reload }),
        newestJobs(jobs),
        entries(transactions),
      ),
    ),
  );
}

/** @param {{renter: Schemas["InspectedRenter"], done: () => void}} props */
function Acts({ renter, done }) {
  const t = texts();
  const path = { renter_id: renter.id };
  const isSuspended = renter.status === "suspended";
  const resume = () => call("POST /admin/renters/{renter_id}/unsuspend", { path, body: {} }).then(done);
  const halt = () => call("POST /admin/renters/{renter_id}/suspend", { path, body: {} }).then(done);
  const unsuspend = async () => {
    if (!(await ask({ title: t.unsuspendRenterQuestion, act: t.unsuspend }))) return;
    await resume().then(() => toast(t.unsuspended, halt), complain);
  };
  const suspend = async () => {
    if (!(await ask({ title: t.suspendRenterQuestion, act: t.suspend, isGrave: true }))) return;
    await halt().then(() => toast(t.suspended, resume), complain);
  };
  const credit = async () => {
    const given = await ask({
      title: t.credit,
      text: `${t.creditNote} ${t.paymentNote}`,
      act: t.credit,
      fields: amounts(),
    });
    if (!given) return;
    const body = {
      amount_halala: halala(Number(given.get("amount"))),
      reason: String(given.get("reason")),
      is_payment: given.has("payment"),
    };
    await call("POST /admin/renters/{renter_id}/credit", { path, body, once: true }).then(({ ledger_id: entry_id }) => {
      // What was paid in stands until it is paid back.
      toast(t.credited, body.is_payment ? undefined : () => takeBack(entry_id).then(done));
      done();
    }, complain);
  };
  const limit = async () => {
    const given = await ask({ title: t.limits, text: t.limitsNote, act: t.save, fields: limits(renter) });
    if (!given) return;
    /** @param {string} name */
    const number = (name) => (given.get(name) ? Number(given.get(name)) : null);
    const monthly = number("monthly");
    const body = {
      monthly_limit_halala: monthly === null ? null : halala(monthly),
      daily_jobs_limit: number("daily"),
      requests_per_minute: number("requests"),
      tokens_per_minute: number("tokens"),
      streams: number("streams"),
    };
    /** @param {Schemas["RenterLimits"]} wanted */
    const set = (wanted) => call("PATCH /admin/renters/{renter_id}/limits", { path, body: wanted }).then(done);
    await set(body).then(() => toast(t.saved, () => set(renter.own_limits)), complain);
  };
  const maySuspend = may("POST /admin/renters/{renter_id}/suspend");
  return h(
    "p",
    { class: "acts" },
    may("POST /admin/renters/{renter_id}/credit") && h("button", { type: "button", onClick: credit }, t.credit),
    may("PATCH /admin/renters/{renter_id}/limits") && h("button", { type: "button", onClick: limit }, t.limits),
    maySuspend && isSuspended && h("button", { type: "button", onClick: unsuspend }, t.unsuspend),
    maySuspend && !isSuspended && h("button", { type: "button", class: "grave", onClick: suspend }, t.suspend),
  );
}

/** @param {number} entry_id */
const takeBack = (entry_id) =>
  call("POST /admin/finance/transactions/{entry_id}/reverse", {
    path: { entry_id },
    body: { reason: common().undone },
  });

function amounts() {
  const t = texts();
  return [
    h(TextField, { label: t.amount, name: "amount", type: "number", min: 0.01, step: 0.01, required: true }),
    h(TextField, { label: t.reason, name: "reason", required: true }),
    h("label", null, h("input", { type: "checkbox", name: "payment" }), " ", t.isPayment),
  ];
}

/** What a renter is held to now, and beside it what the market holds everybody to. @param {Schemas["InspectedRenter"]} renter */
function limits({ own_limits: own, market_limits: market }) {
  const t = texts();
  /** @param {string} label @param {string} name @param {keyof Schemas["RenterLimits"]} of @param {(value: number) => number} [shown] */
  const field = (label, name, of, shown = (value) => value) =>
    h(TextField, {
      label,
      name,
      type: "number",
      min: 0,
      step: name === "monthly" ? "any" : 1,
      value: own[of] === null ? "" : shown(own[of]),
      placeholder: market[of] === null ? "" : String(shown(market[of])),
    });
  return [
    field(t.monthly, "monthly", "monthly_limit_halala", riyals),
    field(t.daily, "daily", "daily_jobs_limit"),
    field(t.requests, "requests", "requests_per_minute"),
    field(t.tokens, "tokens", "tokens_per_minute"),
    field(t.streams, "streams", "streams"),
  ];
}

/** @param {Schemas["WalletEntry"][]} rows */
function entries(rows) {
  const title = h("h2", { id: "entries" }, common().wallet.entries);
  return h("section", { "aria-labelledby": "entries" }, title, walletTable(rows));
}
