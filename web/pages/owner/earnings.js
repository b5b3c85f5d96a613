// What was earned, by day, by machine and by job.

import { h } from "../../vendor/preact.js";
import { Status } from "../../components/badge.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { MoneyPlot } from "../../components/plot.js";
import { table } from "../../components/table.js";
import { jobId } from "../../components/word.js";
import { When } from "../../components/when.js";
import { call } from "../../runtime/api.js";
import { duration, money, number } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/owner.js";

const MOST_JOBS = 100;
const MOST_MACHINES = 200;

export default function Earnings() {
  const t = texts();
  const earnings = useLoad((signal) => call("GET /providers/earnings", { signal }));
  return h(
    "div",
    null,
    h("h1", null, t.earnings),
    loaded(earnings, (told) =>
      h(Figures, {
        of: [
          [t.total, money(told.total_earned_halala)],
          [t.claimable, money(told.claimable_earnings_halala)],
          [t.promo, money(told.promo_earnings_halala)],
          [t.jobsDone, number(told.total_jobs)],
        ],
      }),
    ),
    h(EarnedByDay, { turn: undefined }),
    h(ByMachine, null),
    h(ByJob, null),
  );
}

/** @param {{turn: number | undefined}} props `turn` changes with what was earned */
export function EarnedByDay({ turn }) {
  const t = texts();
  const history = useLoad(
    (signal) => call("GET /providers/me/earnings/history", { query: { period: "30d" }, signal }),
    [turn],
  );
  return loaded(history, ({ days }) =>
    h(MoneyPlot, {
      label: t.earnedByDay,
      isDaily: true,
      times: days.map(({ date }) => Date.parse(date) / 1000),
      series: [{ label: t.earned, values: days.map((day) => day.earned_halala) }],
    }),
  );
}

function ByMachine() {
  const t = texts();
  const machines = useLoad((signal) => call("GET /providers/me/machines", { query: { limit: MOST_MACHINES }, signal }));
  const shown = loaded(machines, ({ machines: rows }) =>
    table({
      caption: t.earnedByMachine,
      rows,
      keyOf: (row) => row.id,
      href: (row) => `#/machines/${row.id}`,
      columns: [
        { key: "name", title: t.name, cell: (row) => h("bdi", null, row.name), sort: (row) => row.name },
        { key: "gpu", title: t.gpu, cell: (row) => h("bdi", null, row.gpu_type), isExtra: true, width: 150 },
        {
          key: "jobs",
          title: t.jobsDone,
          cell: (row) => number(row.total_jobs),
          sort: (row) => row.total_jobs,
          isNumber: true,
          width: 110,
        },
        {
          key: "earned",
          title: t.earned,
          cell: (row) => money(row.total_earnings_halala),
          sort: (row) => row.total_earnings_halala,
          isNumber: true,
          width: 120,
        },
      ],
    }),
  );
  return h("section", { "aria-labelledby": "by-machine" }, h("h2", { id: "by-machine" }, t.earnedByMachine), shown);
}

function ByJob() {
  const t = texts();
  const jobs = useLoad((signal) => call("GET /providers/job-history", { query: { limit: MOST_JOBS }, signal }));
  const shown = loaded(jobs, ({ jobs: rows }) =>
    table({
      caption: t.earnedByJob,
      rows,
      empty: t.noJobs,
      keyOf: (row) => row.job_id,
      columns: [
        { key: "job", title: t.job, cell: (row) => jobId(row.job_id), width: 230 },
        { key: "status", title: t.status, cell: (row) => h(Status, { of: row.status }), width: 115 },
        {
          key: "earned",
          title: t.earned,
          cell: (row) => money(row.earned_halala),
          sort: (row) => row.earned_halala,
          isNumber: true,
          width: 100,
        },
        {
          key: "time",
          title: t.time,
          cell: (row) => duration(row.used_seconds),
          sort: (row) => row.used_seconds,
          isNumber: true,
          isExtra: true,
          width: 100,
        },
        { key: "ended", title: t.ended, cell: (row) => h(When, { at: row.completed_at }), isExtra: true },
      ],
    }),
  );
  return h("section", { "aria-labelledby": "by-job" }, h("h2", { id: "by-job" }, t.earnedByJob), shown);
}
