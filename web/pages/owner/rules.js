// What an owner asks for its machines, and when and how far they may be used.

import { h } from "../../vendor/preact.js";
import { useRef, useState } from "../../vendor/hooks.js";
import { Form } from "../../components/act.js";
import { SelectField, TextField } from "../../components/field.js";
import { loaded } from "../../components/notice.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { sar } from "../../runtime/format.js";
import { useLoad } from "../../runtime/load.js";
import texts from "../../text/owner.js";

/** @typedef {import("../../runtime/api.js").Schemas} Schemas */

export default function Rules() {
  const t = texts();
  const [turn, setTurn] = useState(0);
  const account = useLoad(
    async (signal) => ({ turn, provider: (await call("GET /providers/me", { signal })).provider }),
    [turn],
  );
  return h(
    "div",
    null,
    h("h1", null, t.rules),
    h("p", { class: "lead" }, t.forAll),
    // Its fields are filled once, and anew with what an undo brought back.
    loaded(account, ({ turn: key, ...told }) =>
      h(Preferences, { ...told, key, reload: () => setTurn((before) => before + 1) }),
    ),
  );
}

/** @param {{provider: Schemas["Provider"], reload: () => void}} props */
function Preferences({ provider, reload }) {
  const t = texts();
  const [ask, setAsk] = useState(String(provider.ask));
  const [mode, setMode] = useState(provider.run_mode);
  // As it is stored, which is what an undo goes back to.
  const kept = useRef(
    /** @type {Schemas["UpdatePreferencesRequest"]} */ ({
      ask: provider.ask,
      run_mode: /** @type {Schemas["UpdatePreferencesRequest"]["run_mode"]} */ (provider.run_mode),
      ...(provider.scheduled_start ? { scheduled_start: provider.scheduled_start } : {}),
      ...(provider.scheduled_end ? { scheduled_end: provider.scheduled_end } : {}),
      gpu_usage_cap_pct: provider.gpu_usage_cap_pct ?? 100,
      vram_reserve_gb: provider.vram_reserve_gb ?? 0,
      temp_limit_c: provider.temp_limit_c ?? 100,
    }),
  );
  // What it costs now, and so what it would at another ask.
  const hour = (provider.price_per_hour_sar / provider.ask) * Number(ask);
  /** @param {FormData} given */
  const save = (given) => {
    // A limit that is absent stays as it is, so one that was emptied is set to what holds nobody back.
    /** @param {string} name @param {number} none */
    const number = (name, none) => (given.get(name) ? Number(given.get(name)) : none);
    const body = {
      ask: Number(ask),
      run_mode: /** @type {Schemas["UpdatePreferencesRequest"]["run_mode"]} */ (mode),
      ...(mode === "scheduled"
        ? { scheduled_start: String(given.get("from")), scheduled_end: String(given.get("until")) }
        : {}),
      gpu_usage_cap_pct: number("cap", 100),
      vram_reserve_gb: number("reserve", 0),
      temp_limit_c: number("limit", 100),
    };
    /** @param {Schemas["UpdatePreferencesRequest"]} wanted */
    const set = (wanted) => call("POST /providers/preferences", { body: wanted });
    return set(body).then(() => {
      const before = kept.current;
      kept.current = body;
      toast(t.saved, () => set(before).then(reload));
    }, complain);
  };
  const modes = /** @type {[string, string][]} */ (Object.entries(t.modes));
  return h(
    Form,
    { act: t.save, send: save },
    h(TextField, {
      label: t.ask,
      name: "ask",
      type: "number",
      min: 0.01,
      step: 0.01,
      required: true,
      value: ask,
      set: setAsk,
      hint: t.askHint(sar(hour)),
    }),
    h(SelectField, { label: t.mode, name: "mode", value: mode, set: setMode, options: modes }),
    mode === "scheduled" && [
      h(TextField, {
        key: "from",
        label: t.from,
        hint: t.hoursHint(new Date().toISOString().slice(11, 16)),
        name: "from",
        type: "time",
        required: true,
        value: provider.scheduled_start ?? "08:00",
      }),
      h(TextField, {
        key: "until",
        label: t.until,
        name: "until",
        type: "time",
        required: true,
        value: provider.scheduled_end ?? "18:00",
      }),
    ],
    h(TextField, {
      label: t.cap,
      name: "cap",
      type: "number",
      min: 0,
      max: 100,
      value: provider.gpu_usage_cap_pct ?? "",
    }),
    h(TextField, {
      label: t.reserve,
      name: "reserve",
      type: "number",
      min: 0,
      max: 16,
      value: provider.vram_reserve_gb ?? "",
    }),
    h(TextField, {
      label: t.limit,
      name: "limit",
      type: "number",
      min: 50,
      max: 100,
      value: provider.temp_limit_c ?? "",
    }),
  );
}
