// What is in the wallet, and every entry of it.

import { h } from "../../vendor/preact.js";
import { useEffect, useRef } from "../../vendor/hooks.js";
import { moreOf } from "../../components/act.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { MoneyPlot } from "../../components/plot.js";
import { walletTable } from "../../components/wallet.js";
import { call } from "../../runtime/api.js";
import { money } from "../../runtime/format.js";
import { useJobs } from "../../runtime/live.js";
import { useLoad, useMore } from "../../runtime/load.js";
import common from "../../text/common.js";
import texts from "../../text/renter.js";

const PAGE = 100;

export default function Wallet() {
  const t = texts();
  const { rows } = useJobs();
  const open = rows?.filter((job) => job.ended_at === null).length;
  // A job that begins or ends moves the wallet.
  const balance = useLoad((signal) => call("GET /renters/balance", { signal }), [rows?.length, open]);
  return h(
    "div",
    null,
    h("h1", null, t.wallet),
    loaded(balance, (told) =>
      h(Figures, {
        of: [
          [t.available, money(told.available_halala)],
          [t.held, money(told.held_halala)],
          [t.spent, money(told.total_spent_halala)],
        ],
      }),
    ),
    h(Entries, { turn: rows && `${rows.length} ${open}` }),
  );
}

/** @param {{turn: string | undefined}} props `turn` changes with the wallet */
function Entries({ turn }) {
  const entries = useMore(async (page, signal) => {
    const { renter } = await call("GET /renters/me", { signal });
    const query = { limit: PAGE, offset: page * PAGE };
    const told = await call("GET /renters/{renter_id}/transactions", {
      path: { renter_id: renter.id },
      query,
      signal,
    });
    return { rows: told.entries, hasMore: query.offset + told.entries.length < told.total, told };
  });
  const told = useRef(turn);
  useEffect(() => {
    // Not as an input, which would take whoever reads older entries back to the first page.
    if (told.current && turn !== told.current) entries.reload();
    told.current = turn;
  }, [turn]);
  return loaded(entries, ({ rows, more }) =>
    h(
      "div",
      null,
      rows[0]?.created_at !== rows.at(-1)?.created_at && h(Balance, { rows }),
      h("h2", null, common().wallet.entries),
      walletTable(rows),
      moreOf(more),
    ),
  );
}

/** @param {{rows: import("../../runtime/api.js").Schemas["WalletEntry"][]}} props */
function Balance({ rows }) {
  const oldestFirst = rows.toReversed();
  return h(MoneyPlot, {
    label: common().wallet.after,
    times: oldestFirst.map((row) => Date.parse(row.created_at) / 1000),
    series: [{ label: common().wallet.after, values: oldestFirst.map((row) => row.balance_after_halala) }],
  });
}
