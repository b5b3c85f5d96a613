// What an admin does to machines and to what ran there: each asks once where it has to, says what it did, and can be taken back where that is possible.

import { h } from "../../vendor/preact.js";
import { ask } from "../../components/dialog.js";
import { TextField } from "../../components/field.js";
import { complain, toast } from "../../components/toast.js";
import { call } from "../../runtime/api.js";
import { money } from "../../runtime/format.js";
import texts from "../../text/admin.js";

/** @typedef {() => void} Done */

/** @typedef {{id: number, approval_status: string, rejected_reason?: string | null}} Decided a machine as it was decided on before */

/** A question that wants a reason, of an act without a way back. @param {string} title @param {string} act @param {string} [text] @returns {Promise<string | null>} */
export const reasonFor = (title, act, text) => reason({ title, act, isFinal: true, ...(text ? { text } : {}) });

/** @param {import("../../components/dialog.js").Question} question */
async function reason(question) {
  const fields = h(TextField, { label: texts().reason, name: "reason", required: true });
  const given = await ask({ ...question, fields, isGrave: true });
  return given && String(given.get("reason"));
}

/** @param {number} provider_id */
const letIn = (provider_id) =>
  call("PATCH /admin/providers/{provider_id}/approve", { path: { provider_id }, body: {} });

/** @param {number} provider_id @param {string} why */
const turnDown = (provider_id, why) =>
  call("PATCH /admin/providers/{provider_id}/reject", { path: { provider_id }, body: { reason: why } });

/**
 * Of a machine that was rejected there is a way back; nobody can be made to wait for a decision again, of which they were told.
 *
 * @param {Decided} machine
 * @param {Done} done
 */
export async function approve({ id, approval_status, rejected_reason: before }, done) {
  const t = texts();
  const wasRejected = approval_status === "rejected" && !!before;
  const text = wasRejected ? {} : { text: t.approveNote };
  if (!(await ask({ title: t.approveQuestion, ...text, act: t.approve, isFinal: !wasRejected }))) return;
  await letIn(id).then(() => {
    toast(t.approved, wasRejected ? () => turnDown(id, before).then(done) : undefined);
    done();
  }, complain);
}

/** @param {Decided} machine @param {Done} done */
export async function reject({ id, approval_status }, done) {
  const t = texts();
  const wasApproved = approval_status === "approved";
  const text = wasApproved ? {} : { text: t.rejectNote };
  const why = await reason({ title: t.rejectQuestion, ...text, act: t.reject, isFinal: !wasApproved });
  if (!why) return;
  await turnDown(id, why).then(() => {
    toast(t.rejected, wasApproved ? () => letIn(id).then(done) : undefined);
    done();
  }, complain);
}

/** @param {number} id @param {Done} done */
export async function suspend(id, done) {
  const t = texts();
  if (!(await ask({ title: t.suspendQuestion, act: t.suspend, isGrave: true }))) return;
  const path = { provider_id: id };
  await call("POST /admin/providers/{provider_id}/suspend", { path, body: {} }).then(() => {
    toast(t.suspended, () => call("POST /admin/providers/{provider_id}/unsuspend", { path, body: {} }).then(done));
    done();
  }, complain);
}

/** @param {number} id @param {Done} done */
export async function unsuspend(id, done) {
  const t = texts();
  if (!(await ask({ title: t.unsuspendQuestion, act: t.unsuspend }))) return;
  const path = { provider_id: id };
  await call("POST /admin/providers/{provider_id}/unsuspend", { path, body: {} }).then(() => {
    toast(t.unsuspended, () => call("POST /admin/providers/{provider_id}/suspend", { path, body: {} }).then(done));
    done();
  }, complain);
}

/** @param {number} id @param {Done} done */
export async function drain(id, done) {
  const t = texts();
  if (!(await ask({ title: t.drainQuestion, act: t.drain }))) return;
  const path = { provider_id: id };
  await call("POST /admin/providers/{provider_id}/drain", { path, body: {} }).then(() => {
    toast(t.drained, () => call("POST /admin/providers/{provider_id}/undrain", { path, body: {} }).then(done));
    done();
  }, complain);
}

/** @param {number} id @param {Done} done */
export async function undrain(id, done) {
  const t = texts();
  if (!(await ask({ title: t.undrainQuestion, act: t.undrain }))) return;
  const path = { provider_id: id };
  await call("POST /admin/providers/{provider_id}/undrain", { path, body: {} }).then(() => {
    toast(t.undrained, () => call("POST /admin/providers/{provider_id}/drain", { path, body: {} }).then(done));
    done();
  }, complain);
}

/** @param {number} id */
export function probe(id) {
  const path = { provider_id: id };
  return call("POST /admin/providers/{provider_id}/probe", { path, body: {} }).then(
    () => toast(texts().probing),
    complain,
  );
}

/** @param {number} id @param {Done} done */
export async function clearMismatch(id, done) {
  const t = texts();
  const reason = await reasonFor(t.clearMismatch, t.clearMismatch, t.clearNote);
  if (!reason) return;
  const path = { provider_id: id };
  await call("POST /admin/providers/{provider_id}/clear-mismatch", { path, body: { reason } }).then(() => {
    toast(t.cleared);
    done();
  }, complain);
}

/** @param {string} job */
export async function giveBack(job) {
  const t = texts();
  const reason = await reasonFor(t.giveBack, t.giveBack, t.giveBackNote);
  if (!reason) return;
  await call("POST /admin/jobs/{job_id}/refund", { path: { job_id: job }, body: { reason } }).then(
    (done) => toast(t.givenBack(money(done.refunded_halala), money(done.from_provider_halala))),
    complain,
  );
}
