// A client of orval's generator.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { completeTask, createTask, patchTask, refresh, register } from "./client";

const send = globalThis.fetch;
let token = "";

// orval's functions take paths; the application gives the base URL and the token.
globalThis.fetch = (path, options) => {
  const headers = new Headers(options?.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  return send(`${process.argv[2]}${String(path)}`, { ...options, headers });
};

async function main(): Promise<void> {
  const email = `orval-${randomUUID()}@example.com`;
  const tokens = await register({ email, password: "correct horse battery" });
  assert.equal(tokens.status, 201);
  const renewed = await refresh({ refresh_token: tokens.data.refresh_token });
  assert.equal(renewed.status, 200);
  token = renewed.data.access_token;

  const due = { datetime: new Date().toISOString(), timezone: "Europe/Berlin" };
  const recurrence = { rrule: "FREQ=DAILY" };
  const created = await createTask({ title: "Water the plants", due, recurrence });
  assert.equal(created.status, 201);
  const task = created.data;
  const done = await completeTask(task.id, { completed_at: new Date().toISOString() });
  assert.equal(done.status, 200);
  assert.ok(done.data.next);

  const headers = { "If-Match": created.headers.get("ETag") ?? "" };
  const stale = await patchTask(task.id, { due: { timezone: "Asia/Tokyo" } }, { headers });
  assert.equal(stale.status, 412);
  assert.equal(stale.data.task.id, task.id);
  const ticked = await patchTask(task.id, { is_completed: true });
  assert.equal(ticked.status, 200);
  assert.equal(ticked.data.recurrence?.occurred, 3);
  console.log("orval client: the whole journey passed.");
}

void main();
