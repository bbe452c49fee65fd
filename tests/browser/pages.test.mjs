// Each page in light, dark and on a phone: it stands, nobody is shut out, nothing complains, nothing leaves the host.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, cell, column, go, launch, login, open, shoot, SIZES } from "./support/browser.mjs";
import { farm, simulated, until } from "./support/farm.mjs";

const PAGES = ["overview", "rigs", "nodes", "console", "profiles", "history", "settings"];

let it, browser, missing;

before(async () => {
  it = await farm("rig-alpha", "rig-beta");
  const { controller } = it;
  await controller.profile(simulated("demo"));
  await controller.cli("peer", "label", "rig-alpha", "site=garage");
  await controller.cli("remote", "start", "--all", "--profile", "demo");
  await until("both hash", async () => (await controller.rest("GET", "/remote/totals")).data.rigs.hashing === 2);
  missing = await notThere();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await it?.end();
});

// What this build of the daemon does not serve; a page has to say so, and Chromium notes the 404.
async function notThere() {
  const { data } = await it.controller.rest("GET", "/openapi.json");
  const absent = ["/history/", "/alerts"].filter((path) => !Object.keys(data.paths).some((p) => p.startsWith(`/api/v1/mining${path}`)));
  // A miner that has only just started has no history yet, which is a 404, too.
  return [...absent, "/history/miners/"];
}

async function inside(options) {
  const page = await open(browser, it.controller.api, { expected: missing, ...options });
  await login(page, it.controller.token);
  return page;
}

// A page has settled when its content is there and nothing says that it loads.
async function settled(page) {
  await page.waitForFunction(() => !document.querySelector("#main .loading, #main [aria-busy=true]") && !document.querySelector("#main")?.innerText.includes("Loading"));
}

for (const [look, options] of [["light", {}], ["dark", { theme: "dark" }], ["phone", { size: SIZES.phone, theme: "dark" }]]) {
  test(`every page in ${look}: axe finds nothing, nothing is written to the console`, async () => {
    const page = await inside(options);
    const rig = (await it.controller.peer("rig-alpha")).id;
    const found = [];
    for (const hash of [...PAGES, `rigs/${rig}`]) {
      await go(page, hash);
      await settled(page);
      const name = hash.startsWith("rigs/") ? "rig" : hash;
      for (const fault of await axe(page)) found.push(`${name}: ${fault}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 0) found.push(`${name}: it is ${wide} px wider than the screen`);
      await shoot(page, `${name}-${look}`);
    }
    assert.deepEqual(found, []);
    page.check();
    await page.context().close();
  });
}

test("the login page is for everyone, too, and says what is wrong", async () => {
  for (const theme of ["light", "dark"]) {
    const page = await open(browser, it.controller.api, { theme, expected: ["/session", ...missing] });
    await page.goto("/");
    await page.locator("#login-form").waitFor();
    assert.deepEqual(await axe(page), []);
    await shoot(page, `login-${theme}`);
    await page.fill("#token", "not the token");
    await page.click("[data-action=login]");
    await page.locator("#login-error:not([hidden])").waitFor();
    assert.match(await page.innerText("#login-error"), /token/i);
    assert.deepEqual(await axe(page), []);
    await page.fill("#token", it.controller.token);
    await page.keyboard.press("Enter");
    await page.locator("body[data-link=live]").waitFor();
    page.check();
    await page.context().close();
  }
});

test("the smallest screen and the largest show every page without a second scroll bar", async () => {
  for (const [size, look] of [[{ width: 320, height: 640 }, "320"], [{ width: 768, height: 1024 }, "768"], [{ width: 2560, height: 1440 }, "2560"]]) {
    const page = await inside({ size });
    for (const hash of PAGES) {
      await go(page, hash);
      await settled(page);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${hash} at ${size.width}: ${wide} px too wide`);
      await shoot(page, `${hash}-${look}`);
    }
    page.check();
    await page.context().close();
  }
});

test("tables and figures say what the command line says", async () => {
  const page = await inside({});
  const { controller } = it;
  const peers = await controller.peers();
  await go(page, "nodes");
  const names = await column(page, "peers", "name");
  assert.deepEqual(Object.keys(names).sort(), peers.map((p) => p.id).sort());
  for (const peer of peers) assert.ok(names[peer.id].includes(peer.name), names[peer.id]);
  const identity = await controller.info();
  for (const key of ["name", "role", "id", "fingerprint"]) {
    assert.ok((await page.innerText(`[data-card=node] [data-figure=${key}]`)).includes(identity[key]), key);
  }

  await go(page, "rigs");
  for (const peer of peers) {
    await page.locator(`[data-table=rigs] tr[data-id="${peer.id}"] .badge[data-state=${peer.state}]`).first().waitFor();
    await cell(page, "rigs", peer.id, "algorithm").filter({ hasText: "rx/0" }).waitFor();
  }
  assert.match(await page.innerText("#summary"), /2 of 2 rigs hashing/);
  await until("the same hashrate as the command line's", async () => {
    const { data } = await controller.rest("GET", "/remote/totals");
    const [sum] = data.algorithms;
    return (await page.innerText("#summary")).includes((sum.hashrate / 1000).toFixed(2));
  });
  page.check();
  await page.context().close();
});

test("the colours follow the system until they are chosen, and the choice stays", async () => {
  const page = await inside({ theme: "dark" });
  const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await colour();
  await page.selectOption("#theme", "light");
  const light = await colour();
  assert.notEqual(light, dark);
  await page.reload();
  await page.locator("body[data-link=live]").waitFor();
  assert.equal(await colour(), light);
  await page.selectOption("#theme", "");
  assert.equal(await colour(), dark);
  await page.emulateMedia({ colorScheme: "light" });
  assert.equal(await colour(), light);
  page.check();
  await page.context().close();
});

test("every view has its address, and the back button leads back", async () => {
  const page = await inside({});
  await page.click("#nav a[data-section=rigs]");
  await page.locator(".page[data-page=rigs]").waitFor();
  await page.locator("[data-table=rigs] td[data-col=name] a", { hasText: "rig-beta" }).click();
  await page.locator(".page[data-page=rig] h1", { hasText: "rig-beta" }).waitFor();
  const address = page.url();
  await page.goBack();
  await page.locator(".page[data-page=rigs]").waitFor();
  await page.goto(address);
  await page.reload();
  await page.locator(".page[data-page=rig] h1", { hasText: "rig-beta" }).waitFor();
  page.check();
  await page.context().close();
});

test("the keyboard reaches everything, and what it stands on is seen", async () => {
  const page = await inside({});
  for (const hash of ["rigs", "nodes", "settings"]) {
    await go(page, hash);
    await settled(page);
    await page.evaluate(() => document.activeElement?.blur());
    const wanted = await page.evaluate(() => [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
      .filter((el) => el.checkVisibility() && !el.disabled && !(el.type === "radio" && !el.checked)).length);
    const seen = new Set();
    const blind = [];
    for (let i = 0; i < wanted + 20; i++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const el = document.activeElement;
        if (!el || el === document.body) return null;
        el.dataset.tabbed ??= String(Math.random());
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(el);
        return { key: el.dataset.tabbed, shown: (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none", what: el.outerHTML.slice(0, 120) };
      });
      if (!at) continue;
      seen.add(at.key);
      if (!at.shown) blind.push(at.what);
    }
    assert.ok(seen.size >= wanted, `${hash}: ${seen.size} of ${wanted} were reached`);
    assert.deepEqual(blind, []);
  }
  page.check();
  await page.context().close();
});
