// What rigs, pools and miners say is text, whatever it holds; and the pages' own policy keeps everything else out.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, cell, go, launch, login, open, shoot, SIZES } from "./support/browser.mjs";
import { farm, Node, simulated, until } from "./support/farm.mjs";
import { byId, FakeLive, json, minerRow, peerRow, proxy, rigRow, totalsOf } from "./support/proxy.mjs";

const EVIL = [
  `<img src=x onerror="document.title='owned'">`,
  `"><script>document.title='owned'</script>`,
  `'; document.title='owned'; //`,
  `\u202eevil\u202c\u2066\u200f`,
  `\u001b[31mred\u001b[0m\u001b]0;owned\u0007`,
  `</style><style>body{display:none}`,
  `{{constructor.constructor('document.title="owned"')()}}`,
  `javascript:document.title='owned'`,
].join(" ");
const LONG = "x".repeat(10_240);

let it, controller, browser;

before(async () => {
  it = await farm("rig-alpha");
  [controller] = it.nodes;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await it?.end();
});

// No element of the pages came from that text, no script ran, and the page is as wide as its screen.
async function unharmed(page, where) {
  const found = await page.evaluate(() => ({
    title: document.title,
    strange: [...document.querySelectorAll("img, script:not([src]), iframe, object, embed, style, [onerror], [onload], [style]")].map((el) => el.outerHTML.slice(0, 100)),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    shown: getComputedStyle(document.body).display,
    links: [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href")).filter((href) => /^\s*(javascript|data|https?):/i.test(href)),
  }));
  assert.ok(!found.title.includes("owned"), where);
  assert.deepEqual(found.strange, [], where);
  assert.deepEqual(found.links, [], where);
  assert.ok(found.wide <= 0, `${where}: ${found.wide} px too wide`);
  assert.notEqual(found.shown, "none", where);
}

// A proxy that ends with its test, and a page that does.
async function served(t, options) {
  const server = await proxy(controller.api, options);
  t.after(() => server.end());
  return server;
}

async function opened(t, origin, options) {
  const page = await open(browser, origin, options);
  t.after(() => page.context().close());
  return page;
}

// Everything that a page is told of one rig, hostile throughout.
function hostileRow(n, text) {
  const miner = { name: text, type: text, reason: text, profileId: text, algorithm: text, pool: { url: text, connected: true, pingMs: 1 } };
  return [
    peerRow(n, { name: text, address: text, reason: text, version: text, labels: { site: text }, state: "degraded" }),
    rigRow(n, { name: text, version: text, state: "degraded" }, miner),
  ];
}

function hostileEvent(number, text, node) {
  return { number, at: new Date().toISOString(), node, nodeName: text, kind: "crash-loop", severity: "critical", peer: text, miner: text, text, log: [text, text] };
}

async function hostilePage(t, size, text) {
  const rows = [hostileRow(1, text), [peerRow(2), rigRow(2)], [peerRow(3, { state: "pairing-request", name: text, address: text, connected: false }), null]];
  const rigs = rows.map(([, rig]) => rig).filter(Boolean);
  const { data: node } = await controller.rest("GET", "/node/info");
  node.identity.name = text;
  node.listen = text;
  const live = new FakeLive({
    at: new Date().toISOString(), node, peers: rows.map(([peer]) => peer), rigs: byId(rigs), totals: totalsOf(rigs),
    alerts: [{ id: "1", rule: "crash-loop", severity: "critical", rigs: [text], miner: text, text, since: new Date().toISOString(), notified: false }],
  });
  const rig = rigs[0].id;
  const server = await served(t, {
    answers: {
      "/live": live.answer,
      "/events": json([hostileEvent(1, text, rig)]),
      "/profiles": json([{ id: "evil", name: text, minerType: text, config: { pool: text, wallet: text, algo: text, cliArgs: [text] } }]),
      "/node/invites": json([{ id: text, uses: 1, expiresAt: new Date(Date.now() + 1e6).toISOString(), createdAt: new Date().toISOString() }]),
      "/audit": json([{ id: 1, at: new Date().toISOString(), who: text, peerId: text, key: text, what: text, result: text, command: text, signed: true }]),
      "/policy": json({ wallets: [text], pools: [text], controllers: [text], arguments: [text], remote: text }),
      "/sessions": json([{ id: text, createdAt: new Date().toISOString(), lastUsed: new Date().toISOString(), from: text, current: false }]),
      "/miners/available": json([{ name: text, description: text, installed: true, path: text, version: text }]),
      "/alerts": json({ enabled: true, alerts: [], rules: [{ rule: text, text }], channels: [{ name: text, type: text, format: text, lastDelivery: null, lastError: text, waiting: 0, dropped: 0 }] }),
      "/history/totals": json({ since: new Date(Date.now() - 864e5).toISOString(), until: new Date().toISOString(), resolution: 288, series: [{ algorithm: text, points: [{ timestamp: new Date().toISOString(), hashrate: 5, effective: null, rigs: 1, accepted: 1, rejected: 0 }] }] }),
      "/history/miners": json([{ peerId: rig, peer: text, minerName: text, minerType: text, algorithm: text, totalPoints: 1, averageRate: 1, maxRate: 1, minRate: 1, firstSeen: new Date().toISOString(), lastSeen: new Date().toISOString() }]),
      "/history/status": json({ enabled: true, retentionDays: 30, databaseBytes: 1, samples: 1, droppedSamples: 0 }),
    },
  });
  const page = await opened(t, server.origin, { size, expected: ["/remote/", "/history/"] });
  await login(page, controller.token);
  return { page, live, rig };
}

for (const [look, size] of Object.entries(SIZES)) {
  for (const [what, text] of [["markup, quotes, marks and escape codes", EVIL], ["10 KiB of text", LONG]]) {
    test(`${what} in every field change nothing but their own text (${look})`, async (t) => {
      const { page, live, rig } = await hostilePage(t, size, text);
      for (const hash of ["overview", "rigs", "nodes", "profiles", "history", "settings", `rigs/${rig}`, "console"]) {
        await go(page, hash);
        await page.waitForFunction(() => !document.querySelector("#main")?.innerText.includes("Loading"));
        await unharmed(page, hash);
        await shoot(page, `hostile-${text === LONG ? "long" : "markup"}-${hash.split("/")[0]}${hash.includes("/") ? "-one" : ""}-${look}`);
      }
      // A change and an event with the same text, and the dialogs that show it.
      live.change({ rigs: byId([hostileRow(1, `${text}2`)[1]]) });
      live.say("event", hostileEvent(2, text, rig));
      await go(page, "overview");
      await page.locator("[data-card=lately] li").nth(1).waitFor();
      await unharmed(page, "after a change");
      await go(page, "nodes");
      await page.locator("[data-action=compare]:visible").click();
      await page.locator("dialog[open]").waitFor();
      await unharmed(page, "the pairing dialog");
      const [fits] = await page.locator("dialog[open]").evaluateAll((all) => all.map((d) => d.getBoundingClientRect().right <= innerWidth));
      assert.ok(fits, "the dialog is as wide as its screen");
      page.check();
        });
  }
}

test("what the daemon lets through of a hostile rig is shown as what it is", async (t) => {
  const name = `a<b>&"'`;
  const rig = await Node.serve("evil", "worker");
  try {
    const { code } = await controller.json("node", "invite");
    await rig.cli("node", "join", controller.p2p, code);
    const id = await until("it is there", async () => (await controller.peer("evil"))?.id);
    await controller.rest("PUT", `/peers/${id}/labels`, { site: name });
    // A profile that prints lines as a hostile pool could make a miner print them.
    await rig.profile(simulated("evil", { pool: "pool.example:3333", wallet: `48W"><img/src=x/onerror=alert(1)>` }));
    await rig.cli("miner", "start", "--profile", "evil");
    const page = await opened(t, controller.api, { expected: ["/history/", "/alerts"] });
    await login(page, controller.token);
    await go(page, "nodes");
    await cell(page, "peers", id, "labels").filter({ hasText: `site=${name}` }).waitFor({ state: "attached" });
    await go(page, "rigs");
    await page.locator(`[data-table=rigs] tr[data-id="${id}"] .badge[data-state=hashing]`).first().waitFor();
    await unharmed(page, "rigs");
    const miner = (await controller.rest("GET", `/remote/${id}/stats`)).data.miners[0].name;
    await go(page, `console/${id}/${miner}`);
    await page.locator("[role=log] > *").nth(3).waitFor();
    await unharmed(page, "console");
    assert.deepEqual(await axe(page), []);
    page.check();
  } finally {
    await controller.said("peer", "remove", "evil");
    await rig.remove();
  }
});

test("log lines keep their colours as classes and lose every other code", async (t) => {
  const lines = [`\u001b[1;32mgreen\u001b[0m plain`, EVIL, LONG, `a\u001b[2Jb\u001b]8;;http://evil.example\u0007link\u001b]8;;\u0007c`, `<b>bold</b>`];
  const rigs = [rigRow(1)];
  const live = new FakeLive({ at: new Date().toISOString(), node: (await controller.rest("GET", "/node/info")).data, peers: [peerRow(1)], rigs: byId(rigs), totals: totalsOf(rigs), alerts: [] });
  const stream = (request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const line of lines) response.write(`data: ${JSON.stringify(line)}\n\n`);
  };
  const server = await served(t, { answers: { "/live": live.answer, [`/remote/${rigs[0].id}/logs/xmrig-1/stream`]: stream } });
  const page = await opened(t, server.origin, { expected: ["/history/", "/alerts"] });
  await login(page, controller.token);
  await go(page, `console/${rigs[0].id}/xmrig-1`);
  const log = page.locator("[role=log] > *");
  await log.nth(lines.length - 1).waitFor();
  assert.ok((await log.nth(0).locator("span[class]").first().getAttribute("class")).length > 0);
  assert.equal(await log.nth(0).innerText(), "green plain");
  assert.equal(await log.nth(3).textContent(), "ablinkc");
  assert.equal(await log.nth(4).textContent(), "<b>bold</b>");
  assert.ok(!(await log.allTextContents()).some((text) => text.includes("\u001b")));
  await unharmed(page, "console");
  page.check();
});

test("the pages' policy lets no script, style or request of another origin in", async (t) => {
  const page = await opened(t, controller.api, { expected: ["/history/", "/alerts"] });
  await login(page, controller.token);
  const before = page.faults.length;
  const results = await page.evaluate(async () => {
    const tried = {};
    const attempt = async (what, fn) => {
      try {
        tried[what] = await fn();
      } catch (error) {
        tried[what] = error.name;
      }
    };
    await attempt("inline", () => {
      const script = document.createElement("script");
      script.append("window.owned = true");
      document.head.append(script);
      return Boolean(window.owned);
    });
    await attempt("html", () => (document.createElement("div").innerHTML = "<b>x</b>"));
    await attempt("fetch", () => fetch("http://127.0.0.1:1/").then(() => "let out", () => "kept in"));
    return tried;
  });
  assert.equal(results.inline === true, false);
  assert.equal(results.html, "TypeError", "text is not made into markup");
  assert.equal(results.fetch, "kept in");
  assert.ok(page.faults.length > before, "Chromium tells of each");
});

test("behind a proxy under a path every page works", async (t) => {
  const server = await served(t, { prefix: "/farm" });
  const page = await opened(t, server.origin, { expected: ["/history/", "/alerts"] });
  await login(page, controller.token, "/farm/");
  const [session] = (await page.context().cookies()).filter((cookie) => cookie.name.startsWith("miner-"));
  assert.equal(session.path, "/farm/api/v1/mining");
  for (const hash of ["overview", "rigs", "nodes", "console", "profiles", "history", "settings"]) await go(page, hash);
  await go(page, "nodes");
  await page.locator("[data-table=peers] tr", { hasText: "rig-alpha" }).locator("[data-action=ping]:visible").click();
  await page.locator("#toasts [data-toast=ok]").first().waitFor();
  await page.reload();
  await page.locator("body[data-link=live]").waitFor();
  await page.click("#logout");
  await page.locator("body[data-page=login]").waitFor();
  page.check();
});
