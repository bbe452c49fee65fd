// A headless Chromium whose pages may neither complain nor ask anybody but the daemon.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { PATIENCE, shots } from "./farm.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const SIZES = {
  phone: { width: 360, height: 740 },
  wide: { width: 1440, height: 900 },
};

export async function launch(more = []) {
  const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
  assert.ok(executablePath, "no Chromium is installed");
  // Each start has a new, empty profile folder.
  return chromium.launch({ executablePath, headless: true, chromiumSandbox: false, args: [...FLAGS, ...more] });
}

// A page at `origin`, with what it did wrong in `faults`. `expected` are answers that a test provokes: Chromium notes
// each that is not 2xx as an error, by its address.
export async function open(browser, origin, { size = SIZES.wide, theme = "light", expected: answers = [], context: more = {} } = {}) {
  const expected = [...answers];
  const context = await browser.newContext({
    viewport: size, colorScheme: theme, locale: "en-GB", timezoneId: "UTC", acceptDownloads: true, baseURL: origin, ...more,
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    const { url } = message.location();
    if (message.text().startsWith("Failed to load resource") && expected.some((path) => url.includes(path))) return;
    faults.push(`${message.type()}: ${message.text()} (${url})`);
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.stack ?? error}`));
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith(`blob:${origin}/`)) faults.push(`a request left the host: ${url}`);
  });
  page.faults = faults;
  page.expect = (path) => expected.push(path);
  page.check = () => assert.deepEqual(faults, []);
  return page;
}

export async function login(page, token, path = "/") {
  await page.goto(`${path}#token=${token}`);
  await page.locator("body[data-link=live]").waitFor();
  assert.ok(!page.url().includes(token), "the token stays not in the address");
}

// Goes to a page by its address and waits until it stands.
export async function go(page, hash) {
  await page.evaluate((to) => (location.hash = to), `#/${hash}`);
  const name = hash.split(/[/?]/)[0];
  const kind = name === "rigs" && hash.split("?")[0].includes("/") ? "rig" : name;
  await page.locator(`.page[data-page=${kind}]`).waitFor();
}

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// What axe finds wrong, a line each.
export async function axe(page) {
  // The page's own policy lets no script in; the debugger may.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), RULES);
  assert.ok(passes.some((rule) => rule.id === "color-contrast") && passes.length > 15, "axe has looked");
  return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary.replace(/\s+/g, " ")}`));
}

export async function shoot(page, name) {
  await page.screenshot({ path: join(shots(), `${name}.png`), animations: "disabled", caret: "initial" });
}

export const cell = (page, table, id, column) => page.locator(`[data-table=${table}] tr[data-id="${id}"] td[data-col=${column}]`);

// The text of each row's column, by id.
export function column(page, table, name) {
  return page.locator(`[data-table=${table}] tbody tr[data-id]`).evaluateAll(
    (rows, col) => Object.fromEntries(rows.map((tr) => [tr.dataset.id, tr.querySelector(`[data-col=${col}]`)?.innerText.trim() ?? null])), name);
}

export const act = (page, name, inside = page) => inside.locator(`[data-action="${name}"]:visible`).first().click();

// The last toast of this kind, whose text holds `words`.
export async function toast(page, words, kind = "ok") {
  await page.locator(`#toasts [data-toast=${kind}]`, { hasText: words }).first().waitFor();
}
