// A client of hey-api's generator, which validates each response with the schemas of its zod plugin.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { completeTask, createTask, patchTask, refresh, register } from "./client/sdk.gen";
import { client } from "./client/client.gen";
import { zOccurrenceResult, zTask, zTaskConflict } from "./client/zod.gen";

async function main(): Promise<void> {
  client.setConfig({ baseUrl: process.argv[2] });
  const credentials = { email: `hey-${randomUUID()}@example.com`, password: "correct horse battery" };
  const tokens = (await register({ body: credentials, throwOnError: true })).data;
  const renewed = await refresh({
    body: { refresh_token: tokens.refresh_token },
    throwOnError: true,
  });
  client.setConfig({ auth: renewed.data.access_token });

  const due = { datetime: new Date().toISOString(), timezone: "Europe/Berlin" };
  const body = { title: "Water the plants", due, recurrence: { rrule: "FREQ=DAILY" } };
  const created = await createTask({ body, throwOnError: true });
  const task = zTask.parse(created.data);
  const path = { task_id: task.id };
  const completed_at = new Date().toISOString();
  const done = await completeTask({ path, body: { completed_at }, throwOnError: true });
  assert.ok(zOccurrenceResult.parse(done.data).next);

  const headers = { "If-Match": created.response.headers.get("ETag") ?? "" };
  const stale = await patchTask({ path, headers, body: { due: { timezone: "Asia/Tokyo" } } });
  assert.equal(stale.response.status, 412);
  assert.equal(zTaskConflict.parse(stale.error).task.id, task.id);
  const moved = await patchTask({ path, body: { due: { timezone: "UTC" } }, throwOnError: true });
  const after = zTask.parse(moved.data).due;
  assert.ok(after && "timezone" in after && after.timezone === "UTC");
  const ticked = await patchTask({ path, body: { is_completed: true }, throwOnError: true });
  assert.equal(zTask.parse(ticked.data).recurrence?.occurred, 3);
  console.log("hey-api client: the whole journey passed.");
}

void main();
