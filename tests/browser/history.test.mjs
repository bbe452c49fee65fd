// The page History against real readings: rigs are picked and compared, left out again, and what is saved is what the
// command line says. A chart that is looked at before there is anything begins by itself.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { act, go, launch, login, open } from "./support/browser.mjs";
import { farm, simulated, until } from "./support/farm.mjs";

let it, browser;

before(async () => {
  it = await farm("rig-alpha", "rig-beta");
  await it.controller.profile(simulated("demo"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await it?.end();
});

// Time and value of each reading that the command line prints for a rig.
async function printed(rig) {
  const text = await it.controller.cli("history", rig, "--since", "5m", "--points", "300", "--csv");
  const [head, ...rows] = text.trim().split("\n").map((row) => row.split(","));
  const [time, rate] = [head.findIndex((name) => /^time/.test(name)), head.findIndex((name) => /^hashrate/.test(name))];
  return new Map(rows.filter((row) => row[rate]).map((row) => [Date.parse(row[time]), Number(row[rate])]));
}

test("a chart says that there is nothing yet, and begins with the first readings", async () => {
  const { controller } = it;
  const page = await open(browser, controller.api, {});
  await login(page, controller.token);
  const card = page.locator("[data-card=farm]");
  await card.getByText("Nothing has hashed in this time.").waitFor();
  await controller.cli("remote", "start", "--all", "--profile", "demo");
  await card.locator("[data-chart] svg").waitFor();
  await card.getByText("Nothing has hashed in this time.").waitFor({ state: "hidden" });
  page.check();
});

test("rigs are picked, compared, left out, and saved as the command line has them", async () => {
  await until("both have readings", async () => {
    const { data } = await it.controller.rest("GET", "/history/miners?since=5m");
    return data.length === 2 && data.every((miner) => miner.totalPoints > 1);
  });
  const page = await open(browser, it.controller.api, {});
  await login(page, it.controller.token);
  await go(page, "history?range=5m");
  await act(page, "pick-rigs");
  const dialog = page.locator("dialog[data-dialog=pick-rigs]");
  for (const name of ["rig-alpha", "rig-beta"]) await dialog.locator("label", { hasText: name }).locator("input").check();
  await act(page, "pick", dialog);
  const chips = page.locator("[data-card=picked] .chip");
  await chips.nth(1).waitFor();
  assert.match(page.url(), /rigs=[0-9a-f]{16}(,|%2C)[0-9a-f]{16}/, "the comparison has its address");
  const shown = page.locator("[data-table=history] tbody tr[data-id]");
  await until("both miners stand in the table", async () => (await shown.count()) === 2);
  const legend = page.locator("#main .legend").first();
  await until("the chart is of both", async () => /rig-alpha[^]*rig-beta/.test(await legend.innerText()));

  const known = await printed("rig-alpha");
  const [file] = await Promise.all([page.waitForEvent("download"), act(page, "export")]);
  const [head, ...rows] = (await readFile(await file.path(), "utf8")).trim().split("\r\n").map((row) => row.split(","));
  assert.deepEqual(head, ["time", "rig-alpha H/s", "rig-beta H/s"]);
  const same = rows.map(([time, rate]) => [known.get(Date.parse(time)), rate]).filter(([said, rate]) => said !== undefined && rate !== "");
  assert.ok(same.length > 0, `no reading in common: ${JSON.stringify(rows)} and ${JSON.stringify([...known])}`);
  for (const [said, rate] of same) assert.ok(Math.abs(said - Number(rate)) <= 0.01 * said, `${said} and ${rate}`);

  await chips.filter({ hasText: "rig-beta" }).locator("[data-action=unpick]").click();
  await until("one miner is left in the table", async () => (await shown.count()) === 1);
  assert.equal(await chips.count(), 1);
  page.check();
});
