// What is in the wallet, and every entry of it.

import { h } from "../../vendor/preact.js";
import { moreOf } from "../../components/act.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { MoneyPlot } from "../../components/plot.js";
import { walletTable } from "../../components/wallet.js";
import { call } from "../../runtime/api.js";
import { money } from "../../runtime/format.js";
import { useLoad, useMore } from "../../runtime/load.js";
import common from "../../text/common.js";
import texts from "../../text/renter.js";

const PAGE = 100;

export default function Wallet() {
  const t = texts();
  const balance = useLoad((signal) => call("GET /renters/balance", { signal }));
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
    h(Entries, null),
  );
}

function Entries() {
  const entries = useMore(async (page, signal) => {
    const { renter } = await call("GET /renters/me", { signal });
    const query = { limit: PAGE, offset: page * PAGE };
    const told = await call("GET /renters/{renter_id}/transactions", { path: { renter_id: renter.id }, query, signal });
    return { rows: told.entries, hasMore: query.offset + told.entries.length < told.total, told };
  });
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
