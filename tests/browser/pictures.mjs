// Writes the README's pictures: the dashboard over a made-up farm, its names and figures the same each time.
//   MINER_CLI=target/debug/miner-cli node tests/browser/pictures.mjs docs/pictures
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { go, launch, login, open } from "./support/browser.mjs";
import { Node } from "./support/farm.mjs";
import { byId, FakeLive, json, minerRow, peerRow, proxy, rigRow, totalsOf } from "./support/proxy.mjs";

const folder = resolve(process.argv[2] ?? "docs/pictures");
const MOST = 150 * 1024;
const NAMES = ["rig-alpha", "rig-beta", "rig-gamma", "rig-delta", "rig-epsilon", "rig-zeta", "rig-eta", "rig-theta", "rig-iota", "rig-kappa", "rig-lambda", "rig-mu"];
const now = Date.now();
const ago = (seconds) => new Date(now - seconds * 1000).toISOString();

// The same every time.
let seed = 42;
const chance = () => ((seed = (seed * 16807) % 2147483647) / 2147483647);

const gpu = (n) => n % 3 === 2;
const rate = (n) => (gpu(n) ? 98e6 + n * 1.7e6 : 11_200 + n * 340);

function miner(n) {
  const base = rate(n) * (0.99 + chance() * 0.02);
  const kind = gpu(n) ? { name: "tt-miner-1", type: "tt-miner", algorithm: "kawpow", profileId: "rvn" } : { name: "xmrig-1", type: "xmrig", algorithm: "rx/0", profileId: "monero" };
  return minerRow(n, {
    ...kind, hashrate: { now: base, minute: base * 0.995, quarter: base * 0.99, highest: base * 1.03 }, accepted: 18_000 + n * 311, rejected: 20 + n * 3,
    lastShareAt: ago(2 + n), temperature: gpu(n) ? 62 + n : 55 + n, power: gpu(n) ? 410 + n * 3 : 118 + n, uptime: 86_400 * 3 + n * 991, pool: { url: gpu(n) ? "rvn.pool.example:3333" : "xmr.pool.example:3333", connected: true, pingMs: 18 + n },
  });
}

function rig(n) {
  const name = NAMES[n - 1];
  const more = { name, asOf: ago(3), uptime: 86_400 * 9 + n * 1234, load: 3 + n / 10, temperature: 48 + n };
  if (name === "rig-eta") return { ...rigRow(n, { ...more, state: "crash-loop" }), miners: [{ ...miner(n), state: "crash-loop", reason: "it exited with code 1, five times in ten minutes", hashrate: { now: null, minute: null, quarter: null, highest: rate(n) }, power: null }] };
  return { ...rigRow(n, more), miners: [miner(n)] };
}

const rigs = NAMES.map((_, i) => rig(i + 1));
const peers = rigs.map((r, i) => peerRow(i + 1, { name: r.name, state: r.state, address: `192.168.1.${101 + i}:9091`, lastSeen: ago(3), labels: { site: i < 6 ? "garage" : "barn" } }));
const totals = totalsOf(rigs.filter((r) => r.state === "hashing"));
Object.assign(totals.rigs, { total: rigs.length, hashing: rigs.length - 1, crashLoop: 1 });
Object.assign(totals, { accepted: 240_000, rejected: 610 });

function history(algorithm, total, since, points, gap) {
  const step = (now - since) / points;
  return {
    algorithm,
    points: Array.from({ length: points }, (_, i) => {
      const known = !(i > points * gap && i < points * (gap + 0.04));
      const value = total * (0.96 + 0.03 * Math.sin(i / 17) + chance() * 0.02);
      return { timestamp: new Date(since + i * step).toISOString(), hashrate: known ? value : null, effective: known ? value * 0.98 : null, rigs: rigs.length, accepted: 40, rejected: 0 };
    }),
  };
}

function answerTotals(request, response, query) {
  const points = Number(query.get("points") ?? 300);
  const since = now - 24 * 3600e3;
  const one = rigs.find((r) => r.id === query.get("peer"));
  const wanted = (one ? [one] : rigs).flatMap((r) => r.miners);
  const sums = new Map();
  for (const m of wanted) sums.set(m.algorithm, (sums.get(m.algorithm) ?? 0) + (m.hashrate.highest ?? 0) * 0.97);
  const series = [...sums].map(([algorithm, total], i) => history(algorithm, total, since, points, 0.3 + i * 0.25));
  json({ since: new Date(since).toISOString(), until: new Date(now).toISOString(), resolution: 86_400 / points, series })(request, response);
}

const events = [
  ["miner-restarted", "info", "rig-delta", "rig-delta: xmrig-1 was started again after 2 s"],
  ["peer-linked", "info", "rig-mu", "linked with rig-mu"],
  ["crash-loop", "critical", "rig-eta", "rig-eta: xmrig-1 is in a crash loop: it exited with code 1"],
].map(([kind, severity, peer, text], i) => {
  const { id, name } = rigs.find((r) => r.name === peer);
  return { number: i + 1, at: ago(5400 - i * 1500), node: id, nodeName: name, kind, severity, peer: null, miner: null, text };
});

const controller = await Node.serve("control-center", "controller");
const browser = await launch();
let tooLarge = false;
try {
  const { data: node } = await controller.rest("GET", "/node/info");
  node.registeredPeers = node.connectedPeers = rigs.length;
  const alerts = [{ id: "1", rule: "crash-loop", severity: "critical", rigs: ["rig-eta"], miner: "xmrig-1", text: "xmrig-1 exits again and again", since: ago(2400), notified: true }];
  const live = new FakeLive({ at: new Date(now).toISOString(), node, peers, rigs: byId(rigs), totals, alerts });
  const one = rigs[1];
  const devices = [0, 1, 2, 3].map((index) => ({
    index, name: "GeForce RTX 3070", hashrate: one.miners[0].hashrate.now / 4 + (index - 1.5) * 2e5, temperature: 58 + index * 2, fan: 55 + index * 4, power: 101 + index,
  }));
  const report = {
    nodeId: one.id, nodeName: one.name, state: one.state, unreachableSince: null, asOf: one.asOf, uptime: one.uptime, version: one.version, load: one.load,
    temperature: one.temperature, memory: { total: 16e9, available: 11.2e9 },
    miners: [{ ...one.miners[0], stale: 0, invalid: 0, threads: null, hugePages: null, devices, version: "2024.3.3", asOf: one.asOf }],
  };
  live.reports = { [one.id]: report };
  const log = (request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (let i = 0; i < 12; i++) {
      const line = `[${new Date(now - (12 - i) * 4000).toISOString().slice(11, 19)}] \u001b[32mGPU${i % 4}\u001b[0m share accepted (${4810 + i}/2) ${18 + (i % 5)} ms`;
      response.write(`data: ${JSON.stringify(line)}\n\n`);
    }
  };
  const { name: minerName } = one.miners[0];
  const spark = json(history("kawpow", one.miners[0].hashrate.now, now - 3600e3, 120, 2).points.map(({ timestamp, hashrate }) => ({ timestamp, hashrate, min: hashrate, max: hashrate, effective: hashrate })));
  const server = await proxy(controller.api, { answers: { "/live": live.answer, "/events": json(events), "/history/totals": answerTotals, [`/remote/${one.id}/logs/${minerName}/stream`]: log, [`/history/miners/${minerName}/hashrate`]: spark } });
  const page = await open(browser, server.origin, { size: { width: 1200, height: 760 }, theme: "dark", expected: ["/history/", "/alerts", "/remote/"] });
  await login(page, controller.token);
  for (const [hash, name] of [["overview", "overview"], ["rigs", "rigs"], [`rigs/${one.id}`, "rig"]]) {
    await go(page, hash);
    await page.waitForFunction(() => !document.querySelector("#main").innerText.includes("Loading"));
    await page.waitForTimeout(1000);
    const path = join(folder, `${name}.png`);
    await page.screenshot({ path, animations: "disabled" });
    const { size } = statSync(path);
    tooLarge ||= size > MOST;
    console.log(`${path}: ${Math.ceil(size / 1024)} KiB`);
  }
  server.end();
} finally {
  await browser.close();
  await controller.remove();
}
process.exit(tooLarge ? 1 : 0);
