// The pages that links in mails lead to, from registration to a restored account.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const EXPECTED = [
  // The response to a link that was used before.
  /^Failed to load resource: the server responded with a status of 400/,
];
const PHONE = { width: 360, height: 740 };

const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

/** The text of a mail, decoded from quoted-printable. */
const textOf = (raw) => raw.replaceAll(/=\r?\n/g, "").replaceAll("=3D", "=");

/** Waits for a mail to an address with a subject; returns its link. */
async function linkTo(folder, address, subject) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await pause()) {
    let names = [];
    try {
      names = readdirSync(folder).sort().reverse();
    } catch {
      // The first mail creates the folder.
    }
    for (const name of names) {
      const mail = textOf(readFileSync(join(folder, name), "utf8"));
      if (mail.includes(`To: ${address}`) && mail.includes(`Subject: ${subject}`)) {
        return mail.match(/http\S+token=[\w-]+/)[0];
      }
    }
  }
  throw new Error(`no mail to ${address}: ${subject}`);
}

export async function checkAccount({ page, log, picture, service, mails }) {
  const name = `account-${randomBytes(6).toString("hex")}`;
  const [email, next] = [`${name}@example.com`, `${name}@example.org`];
  let token = "";
  const call = async (method, path, body) => {
    const response = await fetch(service + path, {
      method,
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  const message = page.locator("#message");
  const open = async (link) => {
    await page.goto("about:blank");
    await page.goto(link);
  };
  /** Clicks the button of the page, and waits for its message. */
  const click = async (button, expected) => {
    await page.getByRole("button", { name: button }).click();
    await message.filter({ hasText: expected }).waitFor();
  };

  const password = "correct horse battery";
  token = (await call("POST", "/auth/register", { email, password })).body.access_token;

  const verification = await linkTo(mails, email, "Confirm your email address");
  await open(verification);
  assert.equal((await call("GET", "/auth/me")).body.email_verified, false, "opened, not clicked");
  await picture("1 verify");
  await click("Confirm", "Your email address is confirmed.");
  assert.equal(new URL(page.url()).hash, "", "the token is in the history");
  assert.equal((await call("GET", "/auth/me")).body.email_verified, true);
  await open(verification);
  await click("Confirm", "was used before");
  assert.equal(await page.getByRole("button").count(), 0);

  await call("POST", "/auth/email", { new_email: next, password });
  await open(await linkTo(mails, next, "Confirm your new email address"));
  await click("Confirm", "Your email address is confirmed.");
  assert.equal((await call("GET", "/auth/me")).body.email, next);

  await page.setViewportSize(PHONE);
  await open(await linkTo(mails, email, "Your email address was changed"));
  await picture("2 undo on a phone");
  await click("Restore", "Your email address is restored.");
  assert.equal((await call("GET", "/auth/me")).status, 401);

  await open(await linkTo(mails, email, "Set a new password"));
  const field = page.getByLabel("New password");
  await field.fill("short");
  await page.getByRole("button", { name: "Set password" }).click();
  assert.equal(await field.evaluate((input) => input.validity.tooShort), true);
  await page.getByLabel("Show password").check();
  assert.equal(await field.getAttribute("type"), "text");
  await field.fill("staple 42 times");
  await picture("3 reset on a phone");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, "the page is wider than a phone");
  await click("Set password", "Your password is set.");
  const login = await call("POST", "/auth/login", { email, password: "staple 42 times" });
  assert.equal(login.status, 200);

  await open(`${service}/reset-password`);
  await message.filter({ hasText: "The link is incomplete." }).waitFor();
  await picture("4 incomplete");

  const errors = log
    .filter(({ kind }) => kind === "error" || kind === "warning")
    .filter(({ text }) => !EXPECTED.some((expected) => expected.test(text)));
  assert.deepEqual(errors, []);
}
