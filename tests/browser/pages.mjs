// The documentation pages load without errors, only from the service, and work.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

const EXPECTED = [
  // The two 401 responses that are expected here.
  /^Failed to load resource: the server responded with a status of 401/,
  // Swagger UI interprets the underscore of an operation's name as an encoded space. It finds the
  // operation all the same.
  /^Deprecated: escaping deep link whitespace with `_`/,
];

async function register(service) {
  const response = await fetch(`${service}/auth/register`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      email: `docs-${randomBytes(6).toString("hex")}@example.com`,
      password: "correct horse battery",
    }),
  });
  assert.equal(response.status, 201);
  return response.json();
}

export async function checkPages({ page, log, picture, service }) {
  const { access_token: token, user } = await register(service);
  await checkSwagger({ page, picture, service, token, email: user.email });
  await checkRedoc({ page, picture, service });

  const errors = log
    .filter(({ kind }) => kind === "error" || kind === "warning")
    .filter(({ text }) => !EXPECTED.some((expected) => expected.test(text)));
  assert.deepEqual(errors, []);
  const requests = log.filter(({ kind }) => kind === "request").map(({ text }) => text);
  const foreign = requests.filter(
    (url) => !url.startsWith(`${service}/`) && !/^(blob|data):/.test(url),
  );
  assert.deepEqual(foreign, [], "another host was requested");
}

/** Opens an operation in Swagger UI, fills in the body and executes it; returns the response. */
async function execute(page, operation, body) {
  const block = page.locator(`[id$="-${operation}"].opblock`);
  if (!(await block.getAttribute("class")).includes("is-open")) {
    await block.locator(".opblock-summary-control").click();
  }
  if (body !== undefined) {
    await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  }
  await block.getByRole("button", { name: "Execute" }).click();
  const response = block.locator(".live-responses-table .response");
  await response.waitFor();
  return {
    status: (await response.locator(".response-col_status").innerText()).trim().split(/\s/)[0],
    text: await response.innerText(),
    block,
  };
}

async function checkSwagger({ page, picture, service, token, email }) {
  await page.goto(`${service}/docs`);
  await page.locator(".opblock").first().waitFor();
  assert.match(await page.title(), /taskapi/);
  await picture("1 swagger");
  assert.equal((await execute(page, "list_tasks")).status, "401");

  await page.getByRole("button", { name: "Authorize", exact: true }).click();
  const dialog = page.locator(".modal-ux");
  await dialog.locator("input").first().fill(token);
  await picture("2 authorize");
  // The first form is for access tokens, the second one for personal access tokens.
  await dialog.locator("button.authorize").first().click();
  await dialog.getByRole("button", { name: "Close" }).first().click();

  const created = await execute(page, "create_task", { title: "From the documentation" });
  assert.equal(created.status, "201");
  await page.reload();
  const listed = await execute(page, "list_tasks");
  assert.equal(listed.status, "200", "the authorization was lost");
  assert.match(listed.text, /From the documentation/);
  await listed.block.scrollIntoViewIfNeeded();
  await picture("3 try it out");

  await checkPhone({ page, picture });

  await checkServers({ page, picture, service, token });

  await checkTheTokenStaysInTheTab(page, service);

  // Logging out and in through the page takes the page's own authorization along.
  assert.equal((await execute(page, "logout")).status, "200");
  assert.equal((await execute(page, "get_me")).status, "401");
  const body = { email, password: "correct horse battery" };
  assert.equal((await execute(page, "login", body)).status, "200");
  assert.equal((await execute(page, "get_me")).status, "200");
}

/** The token is stored for this tab, and nowhere that outlives it or that another tab reads. */
async function checkTheTokenStaysInTheTab(page, service) {
  const stored = () =>
    page.evaluate(() => ({ always: { ...localStorage }, tab: Object.keys(sessionStorage) }));
  assert.deepEqual(await stored(), { always: {}, tab: ["taskapi-token"] });
  const other = await page.context().newPage();
  await other.goto(`${service}/docs`);
  await other.locator(".opblock").first().waitFor();
  assert.equal((await execute(other, "get_me")).status, "401", "another tab is authorized");
  await other.close();
  // An earlier release left a token in localStorage.
  await page.evaluate(() => localStorage.setItem("authorized", "{}"));
  await page.reload();
  assert.equal((await execute(page, "get_me")).status, "200");
  assert.deepEqual((await stored()).always, {});
}

/** The second server is a shared workspace: the same operations, with another base URL. */
async function checkServers({ page, picture, service, token }) {
  const response = await fetch(`${service}/workspaces`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ name: "From the documentation" }),
  });
  const { id } = await response.json();
  const servers = page.locator(".servers select");
  await servers.selectOption({ label: "/workspaces/{workspace_id} - Shared workspace" });
  await page.locator(".servers input").fill(String(id));
  const created = await execute(page, "create_task", { title: "In a shared workspace" });
  assert.equal(created.status, "201");
  assert.ok(created.text.includes(`/workspaces/${id}/tasks/`), created.text);
  await servers.scrollIntoViewIfNeeded();
  await picture("7 servers");
  await checkPhone({ page, picture, name: "8 servers on a phone" });
  await servers.selectOption({ label: "/ - Personal workspace" });
}

/** The page is not wider than a phone, with an operation and its responses open. */
async function checkPhone({ page, picture, name = "4 phone" }) {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  await picture(name);
  assert.equal(width, 390);
  await page.setViewportSize(before);
}

async function checkRedoc({ page, picture, service }) {
  await page.goto(`${service}/redoc`);
  await page.getByRole("heading", { name: /^taskapi/ }).waitFor();
  await picture("5 redoc");
  await page.getByPlaceholder("Search...").fill("password");
  await page.locator('[data-role="search:results"] [role="menuitem"]').first().waitFor();
  await page.locator('[data-role="search:results"] [role="menuitem"]').first().click();
  await picture("6 redoc search");
}
