// Tests a front end on another origin, from registration to logging out. It runs unchanged in the
// personal workspace and, with another base URL, in a shared one.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

/** Waits until the text of `locator` is `text`. */
async function sees(locator, text) {
  const deadline = Date.now() + 10_000;
  let shown;
  do {
    shown = (await locator.allInnerTexts()).map((item) => item.trim());
    if (JSON.stringify(shown) === JSON.stringify([text].flat())) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (Date.now() < deadline);
  assert.deepEqual(shown, [text].flat());
}

const password = "correct horse battery ☃";

/** The front end in the personal workspace of a new account. */
export function checkPersonal(tools) {
  return checkFrontend({ ...tools, email: newEmail(), prefix: "", button: "Create account" });
}

/** The same in a shared workspace, by a member who may edit. */
export async function checkShared(tools) {
  const [owner, email] = [newEmail(), newEmail()];
  let token = "";
  const call = async (path, body) => {
    const response = await fetch(tools.service + path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response.json();
  };
  const editor = await call("/auth/register", { email, password });
  token = (await call("/auth/register", { email: owner, password })).access_token;
  const prefix = `/workspaces/${(await call("/workspaces", { name: "Family" })).id}`;
  const invitation = await call(`${prefix}/invitations`, { email, role: "editor" });
  token = editor.access_token;
  await call("/invitations/accept", { token: invitation.token });
  await checkFrontend({ ...tools, email, prefix, button: "Log in" });
}

const newEmail = () => `web-${randomBytes(6).toString("hex")}@example.com`;

async function checkFrontend({ page, context, log, picture, allowed, foreign, ...given }) {
  const { email, prefix, button } = given;
  const service = given.service + prefix;
  const address = (origin) => `${origin}/?api=${encodeURIComponent(service)}`;
  const ui = (on) => ({
    message: on.locator("#message"),
    titles: on.locator("#tasks .title"),
    total: on.locator("#total"),
    item: (title) => on.locator("#tasks li").filter({ hasText: title }),
    header: (name) => on.locator(`[data-header="${name}"]`).innerText(),
    enter: async (name, secret) => {
      await on.getByLabel("Email").fill(email);
      await on.getByLabel("Password").fill(secret);
      await on.getByRole("button", { name }).click();
    },
    add: async (title) => {
      await on.getByLabel("New task").fill(title);
      await on.getByRole("button", { name: "Add" }).click();
    },
    rename: async (from, to) => {
      await ui(on).item(from).getByRole("button", { name: "Edit" }).click();
      await on.getByLabel("Title").fill(to);
      await on.getByRole("button", { name: "Save" }).click();
    },
  });
  const here = ui(page);

  await page.goto(address(allowed.origin));
  await here.enter("Create account", "short");
  await page.locator("#message", { hasText: "/password" }).waitFor();
  await picture("1 refused");
  await here.enter(button, password);
  await sees(here.total, "0 tasks");
  await sees(page.locator("#who"), email);

  await here.add("Buy milk");
  await sees(here.titles, "Buy milk");
  assert.match(await here.header("Location"), new RegExp(`^${prefix}/tasks/\\d+$`));
  assert.match(await here.header("ETag"), /^"\d+"$/);
  assert.match(await here.header("X-Request-ID"), /^\S{8,}$/);

  // Text is displayed as it was written, and no script in it runs.
  const markup = "<img src=x onerror=alert(1)> & \"it's\" ☃";
  page.on("dialog", () => assert.fail("the title of a task ran as a script"));
  await here.add(markup);
  await here.add("   ");
  await page.locator("#message", { hasText: "/title" }).waitFor();
  await sees(here.titles, [markup, "Buy milk"]);
  await sees(here.total, "2 tasks");

  await here.item("Buy milk").getByRole("checkbox").check();
  await page.locator("li.done", { hasText: "Buy milk" }).waitFor();
  await here.rename("Buy milk", "Buy oat milk");
  await sees(here.titles, [markup, "Buy oat milk"]);
  await picture("2 tasks");

  // Changes persist, and a second tab cannot overwrite them unnoticed.
  await page.reload();
  await sees(here.titles, [markup, "Buy oat milk"]);
  assert.ok(await here.item("Buy oat milk").getByRole("checkbox").isChecked());
  const tab = await context.newPage();
  await tab.goto(address(allowed.origin));
  await ui(tab).enter("Log in", password);
  await sees(ui(tab).total, "2 tasks");
  await ui(tab).rename("Buy oat milk", "Buy soy milk");
  await sees(ui(tab).titles, [markup, "Buy soy milk"]);
  await here.rename("Buy oat milk", "Too late");
  await sees(here.titles, [markup, "Buy soy milk"]);
  assert.notEqual(await here.message.innerText(), "", "the conflict was not told");
  await picture("3 conflict");
  await tab.close();

  await here.item("Buy soy milk").getByRole("button", { name: "Delete" }).click();
  await sees(here.titles, [markup]);
  await sees(here.total, "1 task");

  await checkOrigins({ page, context, service, foreign: foreign.origin });

  const token = await page.evaluate(() => sessionStorage.getItem("token"));
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  const after = await callWith(page, service, token);
  assert.equal(after.status, 401);
  assert.match(after.challenge, /^Bearer/);
  await here.enter("Log in", "not this password");
  await sees(here.message, "Invalid email or password");
  await here.enter("Log in", password);
  await sees(here.titles, [markup]);

  // The expected error statuses, and the two messages of the origin that is not allowed.
  const errors = log.filter(({ kind }) => kind === "error").map(({ text }) => text);
  const refused = /^Failed to load resource: .* status of 4/;
  const unexpected = errors.filter((text) => !refused.test(text));
  assert.equal(unexpected.length, 2, unexpected.join("\n"));
  assert.match(unexpected[0], /blocked by CORS policy/);
  assert.ok(unexpected[0].includes(foreign.origin));
  assert.match(unexpected[1], /net::ERR_FAILED/);
}

/** GET /tasks with a token from within the page; what a script there can read of the response. */
function callWith(page, service, token) {
  return page.evaluate(
    async ([url, bearer]) => {
      const response = await fetch(`${url}/tasks?limit=1`, {
        credentials: "include",
        headers: { Authorization: `Bearer ${bearer}` },
      });
      return { status: response.status, challenge: response.headers.get("WWW-Authenticate") };
    },
    [service, token],
  );
}

/** A page of an origin that is not allowed can read nothing, not even an error. */
async function checkOrigins({ page, context, service, foreign }) {
  const token = await page.evaluate(() => sessionStorage.getItem("token"));
  assert.equal((await callWith(page, service, token)).status, 200);
  const stranger = await context.newPage();
  await stranger.goto(`${foreign}/`);
  await assert.rejects(callWith(stranger, service, token), /Failed to fetch/);
  await stranger.close();
}
