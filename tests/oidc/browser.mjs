// Signs in with a real provider in a headless Chromium. Run by test_browser.py:
//   node browser.mjs '{"service": URL, "chromium": PATH, "port": PORT, "email": EMAIL}'

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { serveFolder } from "./server.mjs";

const { service, chromium: executablePath, port, email } = JSON.parse(process.argv[2]);
const frontEnd = await serveFolder(new URL("./frontend/", import.meta.url), port);
const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--no-first-run", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
const address = `${frontEnd.origin}/?api=${encodeURIComponent(service)}`;

async function newPage() {
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  // The provider's pages load fonts from elsewhere.
  await context.route(/^https:/, (route) => route.abort());
  const page = await context.newPage();
  const visited = [];
  page.on("request", (request) => request.isNavigationRequest() && visited.push(request.url()));
  return { context, page, visited };
}

async function enter(page) {
  await page.goto(address);
  await page.getByRole("button", { name: "Sign in with example" }).click();
}

async function authenticate(page) {
  await page.locator("input[name=login]").fill("ada");
  await page.locator("input[name=password]").fill("any password");
  await page.locator("button[type=submit]").click();
}

const consent = (page) => page.getByRole("button", { name: "Continue" }).click();

const shows = (page, text) => page.locator("#message", { hasText: text }).waitFor();

try {
  const { context, page, visited } = await newPage();
  await enter(page);
  await page.locator("input[name=login]").waitFor();
  const [cookie] = await context.cookies(`${service}/auth/oidc/example/callback`);
  assert.match(cookie.name, /^sign_in_[0-9a-f]{16}$/);
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Lax", "/auth/oidc/"]);
  assert.deepEqual(
    (await context.cookies(`${service}/tasks`)).filter(({ name }) => name.startsWith("sign_in")),
    [],
  );
  await authenticate(page);
  await consent(page);
  await shows(page, "Signed in");
  assert.equal(await page.locator("#who").innerText(), email);
  const left = await context.cookies(`${service}/auth/oidc/example/callback`);
  assert.deepEqual(left.filter(({ name }) => name.startsWith("sign_in")), []);

  // The provider knows the browser now, so that the second sign-in needs no password.
  await enter(page);
  await shows(page, "Signed in");

  // Another browser cannot use what this one has visited.
  const callback = visited.findLast((url) => url.includes("/auth/oidc/example/callback"));
  const returned = visited.findLast((url) => url.startsWith(`${frontEnd.origin}/?code=`));
  const victim = await newPage();
  const refused = await victim.page.goto(callback);
  assert.equal(refused.status(), 400);
  assert.equal((await refused.json()).code, "sign_in_expired");
  await victim.page.goto(address);
  await victim.page.goto(returned);
  await shows(victim.page, "Another sign-in");

  // The user leaves the provider.
  await enter(victim.page);
  await victim.page.getByRole("link", { name: "Cancel" }).click();
  await shows(victim.page, "access_denied");

  // Two tabs of one browser sign in at the same time.
  const second = await victim.context.newPage();
  second.setDefaultTimeout(20_000);
  await enter(victim.page);
  await victim.page.locator("input[name=login]").waitFor();
  await enter(second);
  await authenticate(second);
  await consent(second);
  await shows(second, "Signed in");
  await authenticate(victim.page);
  await shows(victim.page, "Signed in");
  console.log("passed");
} finally {
  await browser.close();
  frontEnd.close();
}
