// Where a renter's programs are told of jobs, and what was sent there.

import { h } from "../../vendor/preact.js";
import { useEffect, useState } from "../../vendor/hooks.js";
import { Act, Form, moreOf } from "../../components/act.js";
import { Code } from "../../components/code.js";
import { TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { table } from "../../components/table.js";
import { complain, toast } from "../../components/toast.js";
import { When } from "../../components/when.js";
import { DeliveryStatus, undelivered } from "../../components/word.js";
import { call } from "../../runtime/api.js";
import { number } from "../../runtime/format.js";
import { useJobs } from "../../runtime/live.js";
import { useLoad, useMore, useSlowly } from "../../runtime/load.js";
import texts from "../../text/renter.js";

const PAGE = 100;
const EVERY_SECONDS = 5;
const SETTLE_SECONDS = 2;
// Kept of those that ended, which are read for that they did alone.
const MOST_JOBS = 500;

export default function Webhooks() {
  const t = texts();
  const account = useLoad((signal) => call("GET /renters/me", { signal }));
  return h(
    "div",
    null,
    h("h1", null, t.webhooks),
    loaded(account, ({ renter }) => h(Address, { url: renter.webhook_url ?? "", reload: account.reload })),
    h(Deliveries, null),
  );
}

/** @param {{url: string, reload: () => void}} props */
function Address({ url, reload }) {
  const t = texts();
  const [secret, setSecret] = useState("");
  /** @param {string} wanted */
  const set = async (wanted) => {
    const kept = await call("PATCH /renters/settings", { body: { webhook_url: wanted } });
    reload();
    return kept;
  };
  /** @param {FormData} given */
  const save = (given) => {
    const wanted = String(given.get("url")).trim();
    return set(wanted).then(({ settings }) => {
      // The secret stays as it is.
      toast(t.saved, () => set(url));
      setSecret(settings.webhook_secret ?? "");
    }, complain);
  };
  return h(
    Form,
    { act: t.save, send: save },
    h(TextField, { label: t.webhookUrl, hint: t.webhookHint, name: "url", type: "url", value: url }),
    secret && h(Code, { label: t.secret, children: secret }),
  );
}

function Deliveries() {
  const t = texts();
  // A job that moves is what is told of; how the telling goes no stream says, and it is asked for until it has ended.
  const moved = useSlowly(
    useJobs(MOST_JOBS)
      .rows?.map(({ id, status }) => `${id} ${status}`)
      .join(),
    SETTLE_SECONDS,
  );
  const [isOnItsWay, setOnItsWay] = useState(false);
  const deliveries = useMore(
    async (page, signal) => {
      const told = await call("GET /renters/me/webhook-deliveries", { query: { page: page + 1, limit: PAGE }, signal });
      return { rows: told.deliveries, hasMore: page + 1 < told.pagination.pages, told };
    },
    [],
    isOnItsWay ? EVERY_SECONDS : 0,
  );
  // No input of the list: that would begin at its first page again under whoever has read on.
  useEffect(() => void (moved !== undefined && deliveries.reload()), [moved]);
  const rows = deliveries.value?.rows;
  useEffect(() => setOnItsWay(rows?.some(({ status }) => status === "pending") ?? false), [rows]);
  /** @param {string} delivery_id */
  const resend = (delivery_id) =>
    call("POST /renters/me/webhook-deliveries/{delivery_id}/resend", { path: { delivery_id }, body: {} }).then(() => {
      toast(t.resent);
      deliveries.reload();
    }, complain);
  return h(
    "section",
    { "aria-labelledby": "deliveries" },
    h("h2", { id: "deliveries" }, t.deliveries),
    loaded(deliveries, ({ rows, more }) => [
      table({
        caption: t.deliveries,
        rows,
        empty: t.noDeliveries,
        keyOf: (row) => row.delivery_id,
        columns: [
          { key: "event", title: t.event, cell: (row) => h("code", null, row.event), width: 160 },
          { key: "when", title: t.when, cell: (row) => h(When, { at: row.created_at }), width: 170 },
          { key: "status", title: t.status, cell: (row) => h(DeliveryStatus, { of: row.status }), width: 110 },
          { key: "attempts", title: t.attempts, cell: (row) => number(row.attempts), isNumber: true, width: 90 },
          {
            key: "answer",
            title: t.response,
            cell: (row) => h("bdi", null, row.response_status ?? undelivered(row.error ?? "")),
            isExtra: true,
          },
          {
            key: "act",
            title: "",
            cell: (row) => h(Act, { act: () => resend(row.delivery_id), kind: "plain", children: t.resend }),
            width: 130,
          },
        ],
      }),
      moreOf(more),
    ]),
  );
}
