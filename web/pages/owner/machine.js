// One machine: what it says of itself now and said lately, and what may be done with it.

import { h } from "../../vendor/preact.js";
import { useState } from "../../vendor/hooks.js";
import { Act } from "../../components/act.js";
import { Approval, Status } from "../../components/badge.js";
import { Code } from "../../components/code.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { Figures } from "../../components/figure.js";
import { loaded } from "../../components/notice.js";
import { Telemetry } from "../../components/telemetry.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { ago, money, number, percent, time } from "../../runtime/format.js";
import { inLanguage } from "../../runtime/language.js";
import { useLoad } from "../../runtime/load.js";
import { go } from "../../runtime/router.js";
import common from "../../text/common.js";
import texts from "../../text/owner.js";
import { useOwnMachines } from "./machines.js";

/** @typedef {import("../../runtime/api.js").Schemas["RotateMachineKeyResponse"]} RotatedKey */

const MOST_MACHINES = 200;

/** @param {import("../../runtime/router.js").Place} place */
export default function Machine({ params }) {
  const t = texts();
  const id = Number(params["id"]);
  const [key, setKey] = useState(/** @type {RotatedKey | undefined} */ (undefined));
  const { rows } = useOwnMachines();
  const live = rows?.find((one) => one.id === id);
  const listed = useLoad(
    (signal) => call("GET /providers/me/machines", { query: { limit: MOST_MACHINES }, signal }),
    [live?.status],
  );
  return h(
    "div",
    null,
    h("h1", null, t.machine, " ", h("bdi", null, live?.name ?? "")),
    key &&
      h(
        "div",
        { class: "notice", role: "status" },
        h("p", null, t.keyReplaced(time(key.old_key_expires_at))),
        h(Code, { label: t.key, children: key.api_key }),
      ),
    live
      ? [
          h("p", { key: "state" }, h(Status, { of: live.status }), " ", h(Approval, { of: live.approval_status })),
          live.hardware_notice &&
            h(
              "p",
              { key: "notice", class: "notice bad" },
              t.notice,
              ": ",
              h("bdi", null, inLanguage(live.hardware_notice, live.hardware_notice_ar)),
            ),
          h(Figures, {
            key: "figures",
            of: [
              [t.gpu, h("bdi", null, `${live.gpu_count} × ${live.gpu_type || "–"}`)],
              [t.tops, number(live.tops_int8, 1)],
              [t.busy, percent(live.gpu_util_pct)],
              [t.temperature, live.temp_c == null ? "–" : t.degrees(number(live.temp_c))],
              [t.power, live.power_w == null ? "–" : t.watts(number(live.power_w))],
              [t.slots, t.of(number(live.slots_used), number(live.slots))],
              [t.reputation, number(live.reputation_score)],
              [t.heard, ago(live.last_heartbeat)],
              [t.version, h("bdi", null, live.daemon_version ?? "–")],
            ],
          }),
        ]
      : rows
        ? h("p", { class: "empty" }, t.noSuchMachine)
        : h("p", { class: "loading", role: "status" }, common().loading),
    loaded(listed, ({ machines }) => {
      const machine = machines.find((one) => one.id === id);
      return machine
        ? h(
            "div",
            null,
            machine.is_drained && h("p", { class: "notice" }, t.drained),
            h("p", null, t.total, ": ", money(machine.total_earnings_halala)),
            h(Acts, { machine, reload: listed.reload, shown: setKey }),
          )
        : null;
    }),
    live && h(Telemetry, { id }),
  );
}

/** @param {{machine: import("../../runtime/api.js").Schemas["Machine"], reload: () => void, shown: (key: RotatedKey) => void}} props */
function Acts({ machine, reload, shown }) {
  const t = texts();
  const body = { machine_id: machine.id };
  const resume = () => call("POST /providers/resume", { body }).then(reload);
  const pause = () => call("POST /providers/pause", { body }).then(reload);
  const turn = () =>
    machine.is_paused
      ? resume().then(() => toast(t.resumed, pause), complain)
      : pause().then(() => toast(t.paused, resume), complain);
  const path = { machine_id: machine.id };
  /** @param {string} name */
  const named = (name) => call("PATCH /providers/me/machines/{machine_id}", { path, body: { name } }).then(reload);
  const rename = async () => {
    const fields = h(TextField, { label: t.name, name: "name", required: true, value: machine.name });
    const given = await ask({ title: t.renameQuestion, act: t.save, fields });
    if (!given) return;
    await named(String(given.get("name"))).then(() => toast(t.renamed, () => named(machine.name)), complain);
  };
  const replace = async () => {
    if (
      !(await ask({ title: t.replaceQuestion, text: t.replaceNote, act: t.replaceKey, isGrave: true, isFinal: true }))
    )
      return;
    await call("POST /providers/me/machines/{machine_id}/rotate-key", { path, body: {} }).then(shown, complain);
  };
  const remove = async () => {
    if (!(await ask({ title: t.removeQuestion, act: t.remove, isGrave: true, isFinal: true }))) return;
    await call("DELETE /providers/me/machines/{machine_id}", { path }).then(() => {
      toast(t.removed);
      go("/machines");
    }, complain);
  };
  return h(
    "p",
    { class: "acts" },
    h(Act, { act: turn, children: machine.is_paused ? t.resume : t.pause }),
    h(Act, { act: rename, children: t.rename }),
    // That of the first one is the key of whoever is signed in here.
    machine.id !== machine.owner_id && h(Act, { act: replace, children: t.replaceKey }),
    // The first one is the account itself.
    machine.id !== machine.owner_id && h(Act, { act: remove, kind: "grave", children: t.remove }),
  );
}
