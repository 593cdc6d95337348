// Tests a front end on another origin and the documentation pages in a headless Chromium. Run by
// scripts/test-browser:
//   node run.mjs --service URL --chromium PATH --port FRONT_END_PORT --screenshots FOLDER --mails FOLDER

import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { checkAccount } from "./account.mjs";
import { checkPages } from "./pages.mjs";
import { checkPersonal, checkShared } from "./frontend.mjs";
import { serveFolder } from "./server.mjs";

const { values: given } = parseArgs({
  options: {
    service: { type: "string" },
    chromium: { type: "string" },
    port: { type: "string" },
    screenshots: { type: "string" },
    mails: { type: "string" },
  },
});
mkdirSync(given.screenshots, { recursive: true });

const folder = new URL("./frontend/", import.meta.url);
const allowed = await serveFolder(folder, Number(given.port));
const foreign = await serveFolder(folder, 0);
const browser = await chromium.launch({
  executablePath: given.chromium,
  args: [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Chromium's sandbox does not start as root, and CI containers often run as root.
    ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
  ],
});

/** Runs one check in its own browser profile; saves a screenshot if it fails. */
async function check(name, run) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(10_000);
  const log = [];
  context.on("console", (message) => log.push({ kind: message.type(), text: message.text() }));
  context.on("weberror", (error) => log.push({ kind: "error", text: String(error.error()) }));
  context.on("request", (request) => log.push({ kind: "request", text: request.url() }));
  const page = await context.newPage();
  const picture = (title) =>
    page.screenshot({ path: `${given.screenshots}/${name}-${title}.png`.replaceAll(" ", "-") });
  try {
    await run({ page, context, log, picture, service: given.service });
    console.log(`${name}: passed.`);
  } catch (error) {
    await picture("failed");
    console.error(log.filter((entry) => entry.kind !== "request"));
    throw error;
  } finally {
    await context.close();
  }
}

try {
  await check("front end", (tools) => checkPersonal({ ...tools, allowed, foreign }));
  await check("front end shared", (tools) => checkShared({ ...tools, allowed, foreign }));
  if (given.mails) {
    await check("account", (tools) => checkAccount({ ...tools, mails: given.mails }));
  }
  await check("documentation", checkPages);
} finally {
  await browser.close();
  allowed.close();
  foreign.close();
}
console.log(`Screenshots are in ${given.screenshots}`);
