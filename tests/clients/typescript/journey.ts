// A TypeScript client of the service, from registration to the deletion of the account, with types
// generated from the OpenAPI document.
//
// Run by scripts/test-clients: node journey.js http://127.0.0.1:8000

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Problem = components["schemas"]["ProblemDetails"];
type Task = components["schemas"]["Task"];
type Login = components["schemas"]["Login"];

const baseUrl = process.argv[2] ?? "";
assert.ok(baseUrl, "usage: journey.js BASE_URL");

/** One user on one device: a client of a workspace that sends its latest access token. */
function device(workspace = baseUrl, token?: string) {
  const client = createClient<paths>({
    baseUrl: workspace,
    fetch: (request) => fetch(request, { signal: AbortSignal.timeout(15_000) }),
  });
  client.use({
    onRequest({ request }) {
      if (token !== undefined) {
        request.headers.set("Authorization", `Bearer ${token}`);
      }
      return request;
    },
  });
  return {
    client,
    use(tokens: Login): Login {
      assert.equal(tokens.token_type, "bearer");
      assert.ok(tokens.expires_in > 0);
      token = tokens.access_token;
      return tokens;
    },
  };
}

/** The body of a response with `status`. Any other status ends the run with its body. */
function expect<Data>(
  answer: { data?: Data; error?: unknown; response: Response },
  status: number,
): NonNullable<Data> {
  assert.equal(answer.response.status, status, JSON.stringify(answer.error));
  assert.ok(answer.data, `${answer.response.url} answered no body`);
  return answer.data;
}

/** The problem in a response with `status`. */
function expectProblem<Body extends Problem>(
  answer: { error?: Body | undefined; response: Response },
  status: number,
): Body {
  assert.equal(answer.response.status, status);
  assert.equal(answer.response.headers.get("content-type"), "application/problem+json");
  const problem = answer.error;
  assert.ok(problem, `${status} without a problem`);
  assert.equal(problem.status, status);
  assert.ok(problem.title && problem.detail && problem.code && problem.request_id);
  assert.equal(problem.request_id, answer.response.headers.get("x-request-id"));
  return problem;
}

function expectEmpty(answer: { data?: unknown; response: Response }, status: number): void {
  assert.equal(answer.response.status, status);
  assert.ok(!answer.data, `${status} with a body`);
}

function etagOf(answer: { response: Response }): string {
  const etag = answer.response.headers.get("etag");
  assert.ok(etag, "no ETag");
  return etag;
}

const email = `ts-${randomBytes(6).toString("hex")}@example.com`;
const firstPassword = "correct horse battery";
const secondPassword = "staple ☃ correct horse";
const laptop = device();
const phone = device();

async function signUp(): Promise<Login> {
  const invalid = await laptop.client.POST("/auth/register", {
    body: { email: "nobody", password: "short" },
  });
  const problem = expectProblem(invalid, 400);
  const pointers = (problem.errors ?? []).map((error) => error.pointer);
  assert.deepEqual([...pointers].sort(), ["/email", "/password"]);

  const credentials = { email: email.toUpperCase(), password: firstPassword };
  const answer = await laptop.client.POST("/auth/register", { body: credentials });
  const tokens = laptop.use(expect(answer, 201));
  assert.equal(tokens.user.email, email);

  const again = await phone.client.POST("/auth/register", { body: credentials });
  assert.equal(expectProblem(again, 400).detail, "Email already registered");
  return tokens;
}

async function logInOnThePhone(): Promise<void> {
  const wrong = await phone.client.POST("/auth/login", {
    body: { email, password: "not this one" },
  });
  assert.equal(expectProblem(wrong, 401).detail, "Invalid email or password");
  assert.match(wrong.response.headers.get("www-authenticate") ?? "", /^Bearer/);

  const credentials = { email, password: firstPassword };
  const answer = await phone.client.POST("/auth/login", { body: credentials });
  phone.use(expect(answer, 200));
}

async function refresh(tokens: Login): Promise<void> {
  const answer = await laptop.client.POST("/auth/refresh", {
    body: { refresh_token: tokens.refresh_token },
  });
  const rotated = laptop.use(expect(answer, 200));
  assert.notEqual(rotated.refresh_token, tokens.refresh_token);

  const unknown = await laptop.client.POST("/auth/refresh", { body: { refresh_token: "none" } });
  expectProblem(unknown, 401);

  const { quotas, second_factor, name, timezone, locale, week_start, notices, ...me } = expect(
    await laptop.client.GET("/auth/me"),
    200,
  );
  assert.deepEqual(me, rotated.user);
  assert.deepEqual(second_factor, { is_enabled: false, recovery_codes_left: 0 });
  assert.deepEqual([name, timezone, locale, week_start, notices], [null, null, null, null, true]);
  const named = await laptop.client.PATCH("/auth/me", { body: { name: "Ada" } });
  assert.equal(expect(named, 200).name, "Ada");
  assert.equal(quotas.tasks.used, 0);
  assert.ok(Math.abs(Date.now() - Date.parse(me.created_at)) < 600_000);
}

async function createFive(): Promise<Task[]> {
  const tasks: Task[] = [];
  for (const title of ["one", "two", "three", "four", "five"]) {
    const description = title === "one" ? null : `<b>${title}</b> & "more" ☃`;
    const answer = await laptop.client.POST("/tasks", { body: { title, description } });
    const task = expect(answer, 201);
    assert.equal(task.title, title);
    assert.equal(task.description, description);
    assert.equal(task.is_completed, false);
    assert.equal(answer.response.headers.get("location"), `/tasks/${task.id}`);
    assert.equal(etagOf(answer), `"${task.version}"`);
    tasks.unshift(task);
  }
  const empty = await laptop.client.POST("/tasks", { body: { title: "   " } });
  assert.equal(expectProblem(empty, 400).errors?.[0]?.pointer, "/title");
  // @ts-expect-error: the title is required.
  expectProblem(await laptop.client.POST("/tasks", { body: { description: "?" } }), 400);
  return tasks;
}

async function pageThrough(tasks: Task[]): Promise<void> {
  const seen: Task[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const query: { limit: number; cursor?: string } = cursor ? { limit: 2, cursor } : { limit: 2 };
    const answer = await laptop.client.GET("/tasks", { params: { query } });
    const page = expect(answer, 200);
    assert.equal(page.total, tasks.length);
    const link = answer.response.headers.get("link") ?? "";
    assert.equal(page.next_cursor !== null, link.includes('rel="next"'));
    seen.push(...page.tasks);
    cursor = page.next_cursor;
    pages += 1;
    assert.ok(pages <= 3, "the pages do not end");
  } while (cursor !== null);
  assert.equal(pages, 3);
  assert.deepEqual(seen, tasks);

  const all = await laptop.client.GET("/tasks");
  assert.deepEqual(expect(all, 200).tasks, tasks);
  const unchanged = await laptop.client.GET("/tasks", {
    params: { header: { "If-None-Match": etagOf(all) } },
  });
  expectEmpty(unchanged, 304);
  expectProblem(await laptop.client.GET("/tasks", { params: { query: { limit: 1001 } } }), 400);
}

async function edit(task: Task): Promise<void> {
  const path = { task_id: task.id };
  const read = await laptop.client.GET("/tasks/{task_id}", { params: { path } });
  assert.deepEqual(expect(read, 200), task);
  const first = etagOf(read);
  expectEmpty(
    await laptop.client.GET("/tasks/{task_id}", {
      params: { path, header: { "If-None-Match": first } },
    }),
    304,
  );

  // The whole task is sent back with one change. Read-only fields are ignored.
  const put = await laptop.client.PUT("/tasks/{task_id}", {
    params: { path, header: { "If-Match": first } },
    body: { ...task, is_completed: true },
  });
  const done = expect(put, 200);
  assert.ok(done.is_completed);
  assert.equal(done.title, task.title);
  assert.ok(done.version > task.version);

  const stale = await phone.client.PATCH("/tasks/{task_id}", {
    params: { path, header: { "If-Match": first } },
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { title: "too late" },
  });
  const conflict = expectProblem(stale, 412);
  assert.ok("task" in conflict, "the conflict does not show the task");
  assert.deepEqual(conflict.task, done);

  const patch = await phone.client.PATCH("/tasks/{task_id}", {
    params: { path, header: { "If-Match": etagOf(put) } },
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { title: "renamed", description: null },
  });
  const renamed = expect(patch, 200);
  assert.equal(renamed.title, "renamed");
  assert.equal(renamed.description, null);
  assert.ok(renamed.is_completed);

  const completed = await laptop.client.GET("/tasks", {
    params: { query: { is_completed: true } },
  });
  assert.deepEqual(expect(completed, 200).tasks, [renamed]);
}

async function remove(task: Task): Promise<void> {
  const params = { path: { task_id: task.id } };
  expectEmpty(await laptop.client.DELETE("/tasks/{task_id}", { params }), 204);
  const gone = expectProblem(await laptop.client.GET("/tasks/{task_id}", { params }), 404);
  assert.equal(gone.detail, "Task not found");
  assert.equal(expect(await laptop.client.GET("/tasks"), 200).total, 4);
}

async function previewRecurrence(): Promise<void> {
  const due = { datetime: "2026-10-24T18:00:00", timezone: "Europe/Berlin" };
  const body = { rrule: "FREQ=DAILY", due, anchor: "due", count: 2 } as const;
  const shown = expect(await laptop.client.POST("/recurrence/preview", { body }), 200);
  assert.equal(shown.has_more, true);
  const instants = shown.occurrences.map((one) => ("at" in one ? one.at : one.date));
  assert.deepEqual(instants, ["2026-10-24T16:00:00Z", "2026-10-25T17:00:00Z"]);
  const wrong = { rrule: "FREQ=NEVER", due: { date: "2026-12-24" } };
  const refused = await laptop.client.POST("/recurrence/preview", { body: wrong });
  assert.equal(expectProblem(refused, 400).errors?.[0]?.pointer, "/rrule");
}

async function useRecurrence(): Promise<void> {
  const label = expect(await laptop.client.POST("/labels", { body: { name: "Urgent" } }), 201);
  const due = { date: "2150-01-05" };
  const recurrence = { rrule: "FREQ=WEEKLY" };
  const labelled = { title: "weekly", due, recurrence, label_ids: [label.id], priority: 4 };
  const task = expect(await laptop.client.POST("/tasks", { body: labelled }), 201);
  assert.deepEqual([task.due, task.label_ids, task.priority], [due, [label.id], 4]);
  const body = { title: "below", parent_id: task.id };
  const below = expect(await laptop.client.POST("/tasks", { body }), 201);
  assert.deepEqual([below.parent_id, below.list_id], [task.id, task.list_id]);

  const path = { task_id: task.id };
  const moved = await laptop.client.POST("/tasks/{task_id}/move", {
    params: { path },
    body: { after: null },
  });
  const query = { sort: "position", limit: 1 } as const;
  const page = expect(await laptop.client.GET("/tasks", { params: { query } }), 200);
  assert.deepEqual(page.tasks, [expect(moved, 200)]);

  const done = await laptop.client.POST("/tasks/{task_id}/complete", {
    params: { path, header: { "If-Match": etagOf(moved), "Idempotency-Key": "monday" } },
  });
  const step = expect(done, 200);
  assert.deepEqual(step.next, { date: "2150-01-12" });
  assert.deepEqual(step.task.due, step.next);
  assert.equal(etagOf(done), `"${step.task.version}"`);
  const listed = await laptop.client.GET("/tasks/{task_id}/occurrences", { params: { path } });
  assert.deepEqual(expect(listed, 200).occurrences, [step.occurrence]);
  const undo = () => laptop.client.POST("/tasks/{task_id}/undo", { params: { path } });
  const back = expect(await undo(), 200);
  assert.deepEqual([back.task.due, back.occurrence], [due, step.occurrence]);
  assert.equal(expectProblem(await undo(), 409).code, "nothing_to_undo");

  expectEmpty(await laptop.client.DELETE("/tasks/{task_id}", { params: { path } }), 204);
  const params = { path: { task_id: below.id } };
  expectProblem(await laptop.client.GET("/tasks/{task_id}", { params }), 404);
}

/** The same client works in a shared workspace, with another base URL. */
async function shareAWorkspace(personal: Task): Promise<void> {
  const credentials = { email, password: firstPassword };
  const login = expect(await laptop.client.POST("/auth/login", { body: credentials }), 200);
  const created = await laptop.client.POST("/workspaces", { body: { name: "Family" } });
  const workspace = expect(created, 201);
  assert.equal(workspace.role, "owner");
  const shared = device(`${baseUrl}/workspaces/${workspace.id}`, login.access_token).client;

  const answer = await shared.POST("/tasks", { body: { title: "ours" } });
  const task = expect(answer, 201);
  assert.equal(task.list_id, workspace.id);
  const location = `/workspaces/${workspace.id}/tasks/${task.id}`;
  assert.equal(answer.response.headers.get("location"), location);
  assert.deepEqual(expect(await shared.GET("/tasks"), 200).tasks, [task]);
  const path = { task_id: task.id };
  expectProblem(await laptop.client.GET("/tasks/{task_id}", { params: { path } }), 403);
  const other = { path: { task_id: personal.id } };
  expectProblem(await shared.GET("/tasks/{task_id}", { params: other }), 403);

  const body = { email: `invited-${email}`, role: "editor" } as const;
  const params = { path: { workspace_id: workspace.id } };
  const invited = await laptop.client.POST("/workspaces/{workspace_id}/invitations", {
    params,
    body,
  });
  assert.ok(expect(invited, 201).token);
  expectEmpty(await laptop.client.DELETE("/workspaces/{workspace_id}", { params }), 204);
  expectProblem(await shared.GET("/tasks"), 404);
  expect(await shared.POST("/auth/logout"), 200);
}

async function rejectOthers(task: Task): Promise<void> {
  const stranger = device();
  const answer = await stranger.client.POST("/auth/register", {
    body: { email: `other-${email}`, password: firstPassword },
  });
  stranger.use(expect(answer, 201));
  const params = { path: { task_id: task.id } };
  const read = expectProblem(await stranger.client.GET("/tasks/{task_id}", { params }), 403);
  assert.equal(read.detail, "Not authorized to access this task");
  expectProblem(await stranger.client.DELETE("/tasks/{task_id}", { params }), 403);
  const body = { password: firstPassword };
  expectEmpty(await stranger.client.POST("/auth/delete", { body }), 204);
  assert.equal(expectProblem(await stranger.client.GET("/auth/me"), 401).detail, "Invalid token");
}

async function manageSessions(): Promise<void> {
  const before = expect(await laptop.client.GET("/auth/sessions"), 200);
  assert.equal(before.total, 2);
  assert.equal(before.sessions.filter((session) => session.is_current).length, 1);

  const changed = await laptop.client.POST("/auth/password", {
    body: { current_password: firstPassword, new_password: secondPassword },
  });
  assert.ok(expect(changed, 200).message);
  expectProblem(await phone.client.GET("/auth/me"), 401);

  const credentials = { email, password: secondPassword };
  const answer = await phone.client.POST("/auth/login", { body: credentials });
  phone.use(expect(answer, 200));
  const now = expect(await laptop.client.GET("/auth/sessions"), 200);
  const other = now.sessions.find((session) => !session.is_current);
  assert.ok(other, "the phone's session is not listed");
  const params = { path: { session_id: other.id } };
  expectEmpty(await laptop.client.DELETE("/auth/sessions/{session_id}", { params }), 204);
  expectProblem(await phone.client.GET("/tasks"), 401);
  assert.equal(expect(await laptop.client.DELETE("/auth/sessions"), 200).ended, 0);
}

async function leave(): Promise<void> {
  assert.ok(expect(await laptop.client.POST("/auth/logout"), 200).message);
  const problem = expectProblem(await laptop.client.GET("/tasks"), 401);
  assert.equal(problem.detail, "Invalid token");
  const anonymous = expectProblem(await device().client.GET("/tasks"), 401);
  assert.equal(anonymous.detail, "Authentication required");
}

const tokens = await signUp();
await logInOnThePhone();
await refresh(tokens);
const tasks = await createFive();
await pageThrough(tasks);
const [last, fourth] = tasks;
assert.ok(last && fourth);
await edit(last);
await remove(fourth);
await previewRecurrence();
await useRecurrence();
await shareAWorkspace(last);
await rejectOthers(last);
await manageSessions();
await leave();
console.log("TypeScript client: the whole journey passed.");
