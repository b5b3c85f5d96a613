// One machine: claim against measurement, what it said lately, who decided what, and what may be done.

import { h } from "../../vendor/preact.js";
import { Act } from "../../components/act.js";
import { Approval, Status } from "../../components/badge.js";
import { Figures } from "../../components/figure.js";
import { Liveness } from "../../components/liveness.js";
import { loaded } from "../../components/notice.js";
import { Telemetry } from "../../components/telemetry.js";
import { table } from "../../components/table.js";
import { word } from "../../components/word.js";
import { When } from "../../components/when.js";
import { call } from "../../runtime/api.js";
import { ago, money, number, percent } from "../../runtime/format.js";
import { inLanguage } from "../../runtime/language.js";
import { useMachine } from "../../runtime/live.js";
import { useLoad, useSlowly } from "../../runtime/load.js";
import { may } from "../../runtime/session.js";
import texts from "../../text/admin.js";
import words from "../../text/words.js";
import { approve, clearMismatch, drain, probe, reject, suspend, undrain, unsuspend } from "./acts.js";
import { newestJobs } from "./newest_jobs.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */

// Calls of operators are counted, and a busy machine moves all the time.
const SETTLE_SECONDS = 20;
const DAY_HOURS = 24;

/** @param {import("../../runtime/router.js").Place} place */
export default function Machine({ params }) {
  const t = texts();
  const path = { provider_id: params["id"] ?? "" };
  const { machine: live, isLive, error } = useMachine(Number(path.provider_id));
  // What a beat does not tell (jobs, earnings, decisions) is read when something of the machine is another.
  const moved =
    live && [live.status, live.approval_status, live.slots_used, live.tops_int8, live.hardware_notice].join();
  const found = useLoad(
    (signal) => call("GET /admin/providers/{provider_id}", { path, signal }),
    [path.provider_id, useSlowly(moved, SETTLE_SECONDS)],
  );
  const name = found.value?.provider.name ?? "";
  return h(
    "div",
    null,
    h("h1", null, t.machine, " ", h("bdi", null, name)),
    h(Liveness, { isLive, error }),
    loaded(found, ({ provider, uptime, jobs }) =>
      h(
        "div",
        null,
        h(Detail, { provider, uptime, live: live ?? provider }),
        h(Acts, { provider, done: found.reload }),
        newest(jobs),
      ),
    ),
    h(Telemetry, { id: path.provider_id }),
    h(Decisions, { id: path.provider_id, turn: found.value?.provider.approval_status }),
  );
}

/**
 * What both ways of reading a machine tell.
 *
 * @typedef {Pick<Schemas["LiveMachine"], "status" | "slots_used" | "reputation_score" | "last_heartbeat" | "daemon_version">} Now
 */

/** @param {{provider: Schemas["InspectedProvider"], uptime: Schemas["Uptime"], live: Now}} props */
function Detail({ provider, uptime, live }) {
  const t = texts();
  return h(
    "div",
    null,
    h(
      "p",
      null,
      h(Status, { of: live.status }),
      " ",
      h(Approval, { of: provider.approval_status }),
      " ",
      h("bdi", { class: "quiet" }, provider.email),
    ),
    provider.is_drained &&
      h(
        "p",
        { class: "notice" },
        provider.jobs_held ? t.draining(number(provider.jobs_held), provider.jobs_held) : t.isEmpty,
      ),
    provider.hardware_notice &&
      h(
        "p",
        { class: "notice bad" },
        h("bdi", null, inLanguage(provider.hardware_notice, provider.hardware_notice_ar)),
      ),
    h(Figures, {
      of: [
        [
          t.gpu,
          h("bdi", null, `${provider.gpu_count} × ${provider.gpu_type || provider.gpu_model || "–"}`),
          word(words().gpuSources, provider.gpu_source),
        ],
        [t.claimed, h("bdi", null, provider.claimed_gpu_model ?? "–")],
        [t.measuredTops, number(provider.tops_int8, 1), ago(provider.probed_at)],
        [t.memory, number(provider.memory_gbps)],
        [t.slots, number(live.slots_used)],
        [t.reputation, number(live.reputation_score)],
        [t.uptime, percent((100 * uptime.hours_24) / DAY_HOURS)],
        [t.heard, ago(live.last_heartbeat)],
        [t.version, h("bdi", null, live.daemon_version ?? "–")],
        [t.address, h("bdi", null, provider.provider_ip ?? "–")],
        [t.earned, money(provider.total_earnings_halala)],
      ],
    }),
  );
}

/** @param {{provider: Schemas["InspectedProvider"], done: () => void}} props */
function Acts({ provider, done }) {
  const t = texts();
  const { id } = provider;
  /** @param {string} title @param {() => unknown} act @param {"main" | "grave"} [kind] */
  const button = (title, act, kind) => h(Act, { key: title, act, kind: kind ?? "", children: title });
  return h(
    "p",
    { class: "acts" },
    may("PATCH /admin/providers/{provider_id}/approve") &&
      provider.approval_status !== "approved" &&
      button(t.approve, () => approve(provider, done), "main"),
    may("PATCH /admin/providers/{provider_id}/reject") &&
      provider.approval_status !== "rejected" &&
      button(t.reject, () => reject(provider, done)),
    may("POST /admin/providers/{provider_id}/probe") && button(t.probe, () => probe(id)),
    may("POST /admin/providers/{provider_id}/clear-mismatch") &&
      provider.verification === "mismatch" &&
      button(t.clearMismatch, () => clearMismatch(id, done)),
    may("POST /admin/providers/{provider_id}/drain") &&
      (provider.is_drained ? button(t.undrain, () => undrain(id, done)) : button(t.drain, () => drain(id, done))),
    may("POST /admin/providers/{provider_id}/suspend") &&
      (provider.is_suspended
        ? button(t.unsuspend, () => unsuspend(id, done))
        : button(t.suspend, () => suspend(id, done), "grave")),
  );
}

/** @param {Schemas["ProviderJob"][]} rows */
function newest(rows) {
  const { earned } = texts();
  return newestJobs(rows, [
    { key: "earned", title: earned, cell: (row) => money(row.earned_halala), isNumber: true, width: 100 },
  ]);
}

/** @param {{id: string, turn: string | undefined}} props `turn` changes with each decision */
function Decisions({ id, turn }) {
  const t = texts();
  const path = { provider_id: id };
  const decisions = useLoad(
    (signal) => call("GET /admin/providers/{provider_id}/approval-audit", { path, signal }),
    [id, turn],
  );
  const shown = loaded(decisions, ({ entries: rows }) =>
    table({
      caption: t.decisions,
      rows,
      keyOf: (row) => row.at,
      columns: [
        { key: "when", title: t.when, cell: (row) => h(When, { at: row.at }), width: 180 },
        { key: "decision", title: t.decision, cell: (row) => h(Status, { of: row.decision }), width: 120 },
        { key: "actor", title: t.actor, cell: (row) => h("bdi", null, row.actor), isExtra: true, width: 170 },
        { key: "reason", title: t.reason, cell: (row) => h("bdi", null, row.reason ?? "–") },
      ],
    }),
  );
  return h("section", { "aria-labelledby": "decisions" }, h("h2", { id: "decisions" }, t.decisions), shown);
}
