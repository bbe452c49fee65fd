// Everything that can be done on the pages, done with the mouse against real daemons; the command line agrees afterwards.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { act, cell, go, launch, login, open, toast } from "./support/browser.mjs";
import { farm, link, Node, PATIENCE, simulated, until } from "./support/farm.mjs";

let it, controller, alpha, beta, browser, page;
const extra = [];

before(async () => {
  it = await farm("rig-alpha", "rig-beta");
  [controller, alpha, beta] = it.nodes;
  await controller.profile(simulated("demo"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await Promise.all(extra.map((node) => node.remove()));
  await it?.end();
});

beforeEach(async () => {
  // What this build of the daemon does not serve is none of these tests' business.
  page = await open(browser, controller.api, { expected: ["/history/", "/alerts"] });
  await login(page, controller.token);
});

afterEach(async () => {
  page.check();
  await page.context().close();
});

const id = async (name) => (await controller.peer(name)).id;
const dialog = (kind) => page.locator(`dialog[data-dialog=${kind}]`);
const row = (table, id) => page.locator(`[data-table=${table}] [data-id="${id}"]`);
const confirm = () => act(page, "confirm", dialog("confirm"));
const miners = async (name) => (await controller.rest("GET", `/remote/${name}/stats`)).data.miners;
const running = async (name) => (await miners(name)).filter((m) => ["starting", "hashing"].includes(m.state)).length;

async function choose(names) {
  for (const name of names) await row("rigs", await id(name)).locator("[data-action=select]").check();
}

// ---- nodes

test("ping a peer", async () => {
  await go(page, "nodes");
  const rig = await id("rig-alpha");
  await act(page, "ping", row("peers", rig));
  await toast(page, "rig-alpha answered in");
  assert.match(await cell(page, "peers", rig, "ping").innerText(), /ms/);
  assert.ok((await controller.peer("rig-alpha")).pingMs !== null);
});

test("stats of a peer lead to its page", async () => {
  await go(page, "nodes");
  await act(page, "stats", row("peers", await id("rig-beta")));
  await page.locator(".page[data-page=rig] h1", { hasText: "rig-beta" }).waitFor();
});

test("labels are edited, with the daemon's word on a wrong one", async () => {
  await go(page, "nodes");
  const rig = await id("rig-alpha");
  await act(page, "labels", row("peers", rig));
  page.expect("/labels");
  await dialog("labels").locator("[name=labels]").fill("Site=garage");
  await act(page, "submit", dialog("labels"));
  await dialog("labels").locator("[data-error]:visible").first().waitFor();
  await dialog("labels").locator("[name=labels]").fill("site=garage\nfloor=2");
  await act(page, "submit", dialog("labels"));
  await toast(page, "saved");
  await dialog("labels").waitFor({ state: "detached" });
  assert.deepEqual((await controller.peer("rig-alpha")).labels, { site: "garage", floor: "2" });
  await cell(page, "peers", rig, "labels").filter({ hasText: "site=garage" }).waitFor({ state: "attached" });
});

test("an invite is made, shown once, works, and another is revoked", async () => {
  await go(page, "nodes");
  const make = async () => {
    await act(page, "invite");
    await act(page, "submit", dialog("invite"));
    const code = await page.innerText("[data-figure=invite-code]");
    await act(page, "close", dialog("invite-made"));
    return code.trim().split(" ").pop();
  };
  const code = await make();
  const joined = await Node.serve("rig-gamma", "worker");
  extra.push(joined);
  await joined.cli("node", "join", controller.p2p, code);
  const rig = await until("it is registered", () => id("rig-gamma"));
  await row("peers", rig).locator(".badge[data-state=idle]").first().waitFor();

  await make();
  const [invite] = (await controller.rest("GET", "/node/invites")).data;
  await act(page, "revoke", row("invites", invite.id));
  await confirm();
  await toast(page, "revoked");
  await row("invites", invite.id).waitFor({ state: "detached" });
  assert.deepEqual((await controller.rest("GET", "/node/invites")).data, []);
});

test("a peer is removed after its name was read", async () => {
  await go(page, "nodes");
  const rig = await id("rig-gamma");
  await act(page, "remove", row("peers", rig));
  assert.match(await dialog("confirm").innerText(), /rig-gamma/);
  await act(page, "cancel", dialog("confirm"));
  assert.ok(await controller.peer("rig-gamma"), "cancelled is not removed");
  await act(page, "remove", row("peers", rig));
  await confirm();
  await row("peers", rig).waitFor({ state: "detached" });
  assert.equal(await controller.peer("rig-gamma"), null);
});

test("a peer is added by its address and approved on its own page", async () => {
  const rig = await Node.serve("rig-delta", "worker");
  extra.push(rig);
  await go(page, "nodes");
  await act(page, "add-peer");
  const form = dialog("add-peer");
  page.expect("/peers");
  await form.locator("[name=address]").fill("nowhere");
  await act(page, "submit", form);
  await form.locator("[data-error=address]:visible, [data-error='']:visible").first().waitFor();
  await form.locator("[name=address]").fill(rig.p2p);
  await form.locator("[name=name]").fill("rig-delta");
  await act(page, "submit", form);
  const { fingerprint } = await rig.info();
  assert.ok((await dialog("added").innerText()).includes(fingerprint), "the fingerprint to compare is shown");
  await act(page, "close", dialog("added"));
  const added = await id("rig-delta");
  await row("peers", added).locator(".badge[data-state=awaiting-approval]").first().waitFor();
  assert.equal((await controller.peer("rig-delta")).state, "awaiting-approval");

  const theirs = await open(browser, rig.api, { expected: ["/history/", "/alerts"] });
  await login(theirs, rig.token, "/");
  await go(theirs, "nodes");
  await act(theirs, "compare");
  const asked = theirs.locator("dialog[data-dialog=approve]");
  assert.equal((await asked.locator("[data-figure=fingerprint]").innerText()).trim(), (await controller.info()).fingerprint);
  await act(theirs, "approve", asked);
  await toast(theirs, "approved");
  theirs.check();
  await theirs.context().close();
  await row("peers", added).locator(".badge[data-state=idle]").first().waitFor();
  assert.equal((await rig.peers())[0].state, "connected");
});

test("a pairing request is rejected", async () => {
  const other = await Node.serve("other-control", "controller");
  const rig = extra.find((node) => node.name === "rig-delta");
  extra.push(other);
  await other.cli("peer", "add", "--address", rig.p2p, "--name", "rig-delta");
  const theirs = await open(browser, rig.api, { expected: ["/history/", "/alerts"] });
  await login(theirs, rig.token);
  await go(theirs, "nodes");
  await act(theirs, "compare");
  await act(theirs, "reject", theirs.locator("dialog[data-dialog=approve]"));
  await toast(theirs, "rejected");
  await theirs.locator("[data-card=requests]").waitFor({ state: "hidden" });
  theirs.check();
  await theirs.context().close();
  assert.ok(!(await rig.peers()).some((peer) => peer.name === "other-control"));
  await controller.cli("peer", "remove", "rig-delta");
});

// ---- profiles

test("a profile is made with the daemon's word at each wrong field, changed, and its password not shown", async () => {
  await go(page, "profiles");
  await act(page, "new-profile");
  const form = dialog("profile");
  await form.locator("[name=name]").fill("second");
  page.expect("/profiles");
  await form.locator("[name=pool]").fill("no port");
  await form.locator("[name=threads]").fill("0");
  await act(page, "submit", form);
  await form.locator("[data-error=pool]:visible").waitFor();
  await form.locator("[data-error=threads]:visible").waitFor();
  assert.equal((await controller.json("profile", "list")).length, 1, "nothing was stored");
  await form.locator("[name=minerType]").selectOption("simulated");
  await form.locator("[name=pool]").fill("pool.example:3333");
  await form.locator("[name=threads]").fill("");
  await form.locator("[name=algo]").fill("kawpow");
  await form.locator("[name=hashrate]").fill("2000000");
  await form.locator("[name=password]").fill("hunter2");
  await act(page, "submit", form);
  await toast(page, "saved");
  const card = page.locator('[data-card=profile][data-id="second"]');
  await card.waitFor();
  assert.equal((await controller.json("profile", "show", "second")).config.algo, "kawpow");

  await act(page, "edit-profile", card);
  assert.equal(await form.locator("[name=password]").inputValue(), "");
  await form.locator("[name=pool]").fill("other.example:4444");
  await act(page, "submit", form);
  await card.filter({ hasText: "other.example:4444" }).waitFor();
  const stored = await controller.json("profile", "show", "second");
  assert.deepEqual([stored.config.pool, stored.config.password, stored.config.algo], ["other.example:4444", "***", "kawpow"]);
  assert.ok(!(await page.content()).includes("hunter2"));
});

test("a profile is deployed after a dry run, and its drift is seen", async () => {
  await go(page, "rigs");
  await act(page, "clear-filter").catch(() => null);
  await choose(["rig-alpha", "rig-beta"]);
  await act(page, "bulk-deploy");
  const deploy = dialog("deploy");
  await deploy.locator("select").selectOption("second");
  await act(page, "dry-run", deploy);
  await deploy.locator("[data-action=deploy]:visible").waitFor();
  assert.deepEqual(await alpha.json("profile", "list"), [], "the dry run stored nothing");
  await act(page, "deploy", deploy);
  await page.locator("dialog[data-finished=true]").waitFor();
  await act(page, "close", deploy);
  for (const rig of [alpha, beta]) assert.equal((await rig.json("profile", "show", "second")).config.pool, "other.example:4444");

  const changed = { ...(await controller.json("profile", "show", "second")) };
  changed.config.pool = "third.example:5555";
  await controller.cli("profile", "edit", "second", controller.file("second.json", JSON.stringify(changed)));
  await go(page, "profiles");
  const card = page.locator('[data-card=profile][data-id="second"]');
  await card.filter({ hasText: "third.example:5555" }).waitFor();
  await act(page, "drift", card);
  await dialog("drift").locator("li", { hasText: "rig-alpha" }).locator(".badge", { hasText: "differs" }).waitFor();
  await act(page, "deploy-drifted", dialog("drift"));
  await act(page, "dry-run", deploy);
  await deploy.locator("li", { hasText: "pool: other.example:4444 → third.example:5555" }).first().waitFor();
  await act(page, "deploy", deploy);
  await page.locator("dialog[data-finished=true]").waitFor();
  await act(page, "close", deploy);
  assert.equal((await beta.json("profile", "show", "second")).config.pool, "third.example:5555");
});

test("a profile is removed after its name was read", async () => {
  await go(page, "profiles");
  const card = page.locator('[data-card=profile][data-id="second"]');
  await act(page, "remove-profile", card);
  assert.match(await dialog("confirm").innerText(), /second/);
  await confirm();
  await card.waitFor({ state: "detached" });
  assert.deepEqual((await controller.json("profile", "list")).map((p) => p.id), ["demo"]);
});

// ---- rigs

test("one rig is started, its miner restarted and stopped on its page", async () => {
  await go(page, `rigs/${await id("rig-alpha")}`);
  await act(page, "start-rig");
  await act(page, "submit", dialog("start"));
  await toast(page, "simulated-1");
  const card = page.locator('[data-card=miner][data-miner="simulated-1"]');
  await card.locator(".badge[data-state=hashing]").waitFor();
  assert.equal(await running("rig-alpha"), 1);
  await page.locator("[role=log]", { hasText: "accepted" }).waitFor();

  await page.locator("#toasts").getByRole("button").first().click();
  await page.locator("#toasts .toast").waitFor({ state: "detached" });
  await act(page, "restart-miner", card);
  await confirm();
  await toast(page, "simulated-1");
  const events = await controller.json("events", "--lines", "20");
  assert.ok(events.some((e) => e.kind === "miner-restarted" && e.miner === "simulated-1"));

  await act(page, "stop-miner", card);
  assert.match(await dialog("confirm").innerText(), /simulated-1[^]*rig-alpha/);
  await confirm();
  await until("it is stopped", async () => (await running("rig-alpha")) === 0);
  await card.locator(".badge[data-state=stopped]").waitFor();
});

test("many rigs are started, restarted and stopped, with a result for each", async () => {
  await go(page, "rigs");
  await page.locator("[data-table=rigs] tbody tr[data-id]").nth(1).waitFor();
  const finish = async () => {
    await page.locator("dialog[data-dialog=results][data-finished=true]").waitFor();
    const results = await dialog("results").locator("li").evaluateAll((all) => all.map((li) => [li.querySelector(".name").textContent, li.dataset.result]));
    await act(page, "close", dialog("results"));
    return Object.fromEntries(results);
  };
  const both = { "rig-alpha": "done", "rig-beta": "done" };
  await choose(["rig-alpha", "rig-beta"]);
  await act(page, "bulk-start");
  await act(page, "submit", dialog("start"));
  assert.deepEqual(await finish(), both);
  for (const name of ["rig-alpha", "rig-beta"]) {
    assert.equal(await running(name), 1);
    await row("rigs", await id(name)).locator(".badge[data-state=hashing]").first().waitFor();
  }

  await choose(["rig-alpha", "rig-beta"]);
  await act(page, "bulk-restart");
  await confirm();
  assert.deepEqual(await finish(), both);

  await choose(["rig-alpha", "rig-beta"]);
  await act(page, "bulk-stop");
  assert.match(await dialog("confirm").innerText(), /rig-alpha[^]*rig-beta/);
  await confirm();
  assert.deepEqual(await finish(), both);
  for (const name of ["rig-alpha", "rig-beta"]) assert.equal(await running(name), 0);
});

test("rigs are filtered by text, label and state, and sorted, with all of it in the address", async () => {
  await controller.cli("peer", "label", "rig-alpha", "site=garage");
  await controller.cli("peer", "label", "rig-beta", "site=barn");
  await go(page, "rigs");
  const names = () => page.locator("[data-table=rigs] td[data-col=name] a").allInnerTexts();
  await page.locator("[data-table=rigs] tbody tr[data-id]").nth(1).waitFor();
  await page.fill("[name=q]", "beta");
  assert.deepEqual(await names(), ["rig-beta"]);
  await page.fill("[name=q]", "");
  await page.locator("[name=label] option", { hasText: "site=garage" }).waitFor({ state: "attached" });
  await page.selectOption("[name=label]", "site=garage");
  assert.deepEqual(await names(), ["rig-alpha"]);
  await page.reload();
  await page.locator("[data-table=rigs] tbody tr[data-id]").waitFor();
  assert.deepEqual(await names(), ["rig-alpha"], "the address has the filter");
  await page.selectOption("[name=label]", "");
  await page.click("[data-sort=name]");
  assert.deepEqual(await names(), ["rig-beta", "rig-alpha"]);
  await page.selectOption("[name=state]", "idle");
  assert.equal((await names()).length, 2);
});

// ---- console

test("the console follows, pauses, searches, shows the run before and saves what it shows", async () => {
  await controller.cli("remote", "start", "rig-alpha", "--profile", "demo");
  const [{ name: miner }] = (await miners("rig-alpha")).filter((m) => m.state !== "stopped");
  await go(page, `console/${await id("rig-alpha")}/${miner}`);
  const log = page.locator("[role=log]");
  await log.locator("> *", { hasText: "accepted" }).nth(2).waitFor();
  const count = () => log.locator("> *").count();

  await act(page, "pause");
  const before = await count();
  await page.getByText(/Paused; \d+ new line/).waitFor();
  assert.equal(await count(), before);
  await act(page, "pause");
  await until("it goes on", async () => (await count()) > before);

  await page.fill("[name=search]", "accepted");
  await act(page, "only-matches");
  await until("only lines that fit", async () => {
    const lines = await log.locator("> *").allInnerTexts();
    return lines.length && lines.every((line) => line.includes("accepted"));
  });
  assert.ok((await log.locator(".hit").count()) > 0, "what was searched for is marked");
  await page.fill("[name=search]", "");
  await act(page, "only-matches");

  const [file] = await Promise.all([page.waitForEvent("download"), act(page, "download")]);
  assert.match(file.suggestedFilename(), /rig-alpha.*\.log$/);
  const saved = await readFile(await file.path(), "utf8");
  assert.match(saved, /accepted/);
  const whole = await controller.cli("remote", "logs", "rig-alpha", miner, "--lines", "10000");
  const plain = whole.replace(/\x1b\[[0-9;]*m/g, "");
  for (const line of saved.trim().split("\n").slice(0, 5)) assert.ok(plain.includes(line.trim()), line);

  await controller.cli("remote", "restart", "rig-alpha", miner);
  await act(page, "previous");
  await page.getByText(/The previous run: \d+ lines/).waitFor();
  await controller.cli("remote", "stop", "rig-alpha");
});

// ---- settings

test("sessions are listed and ended, the audit log is read and checked, the node is looked over", async () => {
  const other = await open(browser, controller.api, { expected: ["/api/v1/mining"] });
  await login(other, controller.token);
  await go(page, "settings");
  const listed = page.locator("[data-table=sessions] li");
  await listed.nth(1).waitFor();
  assert.equal(await listed.count(), (await controller.rest("GET", "/sessions")).data.length);
  await act(page, "end-sessions");
  await confirm();
  await until("one is left", async () => (await listed.count()) === 1);
  await other.locator("body[data-page=login]").waitFor();
  await other.context().close();

  await act(page, "verify-audit");
  await page.getByText(/signatures? in \d+ rows? checked; all fit/).waitFor();
  const table = page.locator("[data-table=audit] tbody tr[data-id]");
  await table.first().waitFor();
  const rows = await controller.json("audit", "--lines", "50");
  const shown = await table.evaluateAll((trs) => trs.map((tr) => tr.dataset.id));
  assert.deepEqual(new Set(shown), new Set(rows.map((r) => String(r.id))));
  await act(page, "doctor");
  await page.locator("[data-card=doctor] li", { hasText: "daemon" }).waitFor();
  await page.locator("[data-card=policy]", { hasText: "full" }).waitFor();
});

test("a test of the alerts says of each channel whether it arrived, without its secret", async () => {
  const heard = [];
  const receiver = http.createServer((request, response) => {
    request.on("data", (part) => heard.push(String(part)));
    request.on("end", () => response.end());
  });
  await new Promise((done) => receiver.listen(0, "127.0.0.1", done));
  const channel = (name, address) => `[[alerts.channels]]\nname = "${name}"\ntype = "webhook"\nurl = "${address}"\n`;
  const config = channel("good", `http://127.0.0.1:${receiver.address().port}/SECRET`) + channel("bad", "http://127.0.0.1:1/SECRET");
  const node = await Node.serve("alerting", "controller", config);
  extra.push(node);
  const theirs = await open(browser, node.api, { expected: ["/history/"] });
  await login(theirs, node.token);
  await go(theirs, "settings");
  await theirs.locator("[data-table=channels] [data-id=good]").waitFor();
  await act(theirs, "test-alerts");
  const result = (name, word) => theirs.locator(`[data-card=alert-results] [data-id=${name}]`, { hasText: word }).waitFor();
  await result("good", "delivered");
  await result("bad", "failed");
  assert.ok(heard.length > 0, "the receiver got it");
  assert.ok(!(await theirs.content()).includes("SECRET"));
  theirs.check();
  await theirs.context().close();
  receiver.close();
});

test("logging out ends the session and shows nothing more", async () => {
  const cookies = await page.context().cookies();
  const session = cookies.find((cookie) => cookie.name.startsWith("miner-"));
  assert.deepEqual([session.httpOnly, session.sameSite, session.path], [true, "Strict", "/api/v1/mining"]);
  await page.click("#logout");
  await page.locator("body[data-page=login]").waitFor();
  assert.equal((await page.innerText("body")).includes("rig-alpha"), false);
  const answer = await fetch(`${controller.api}/api/v1/mining/peers`, { headers: { Cookie: `${session.name}=${session.value}` } });
  assert.equal(answer.status, 401, "the cookie opens nothing any more");
});

// ---- what happens by itself

test("a rig that goes and comes back shows so without a reload", async () => {
  const rig = await id("rig-beta");
  const { listen } = beta.run();
  await go(page, "rigs");
  await row("rigs", rig).waitFor();
  await beta.stop();
  await row("rigs", rig).locator(".badge[data-state=unreachable]").first().waitFor();
  assert.equal((await controller.peer("rig-beta")).state, "unreachable");
  assert.match(await page.innerText("#summary"), /rig-beta/);
  await beta.start(listen);
  await row("rigs", rig).locator(".badge[data-state=idle]").first().waitFor();
});

test("a lost daemon is said at once, with the age of what is seen, and found again by itself", async () => {
  await go(page, "rigs");
  const { api, listen } = controller.run();
  await controller.stop();
  await page.locator("body[data-link=lost]").waitFor();
  assert.match(await page.innerText("#link"), /Lost the daemon.*old/);
  const faults = page.faults.splice(0);
  assert.ok(faults.every((fault) => /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_CONNECTION_RESET|Failed to load/.test(fault)), faults.join("\n"));
  await controller.start(listen, api.replace("http://", ""));
  // Sessions live in the daemon's memory: it asks to log in again.
  await page.locator("body[data-page=login], body[data-link=live]").first().waitFor();
  page.faults.splice(0);
});
