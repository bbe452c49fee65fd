// One rig: what it makes, its miners and devices, its log and what happened on it.
import { deploy, restart, start, stop } from "./actions.js";
import { asOf, age } from "./ages.js";
import { badge, setBadge } from "./badge.js";
import { sparkline } from "./chart.js";
import { attr, button, cls, h, keyed, put, show } from "./dom.js";
import { empty } from "./empty.js";
import { eventItem, eventKey } from "./events.js";
import { FarmChart } from "./farm.js";
import { ratesText, rejectColour, rigView, shareIsLate } from "./figures.js";
import { get, part, query } from "./api.js";
import { bytes, count, degrees, duration, hashrate, measure, NONE, percent, ping, power } from "./format.js";
import { LogView } from "./logview.js";
import { link } from "./router.js";
import { state, subscribe, watch } from "./store.js";

export const title = "Rig";
const EVENTS = 20;

// A list of facts whose values are kept up to date: [[key, heading], …].
function facts(headings) {
  const cells = {};
  const el = h("dl.facts", null, ...headings.map(([key, what]) => h("div", null, h("dt", null, what), (cells[key] = h("dd", { "data-figure": key })))));
  return { el, cells };
}

// ---- a miner

const FACTS = [
  ["now", "Now (10 s)"], ["minute", "1 min"], ["quarter", "15 min"], ["highest", "Highest"], ["algorithm", "Algorithm"],
  ["accepted", "Accepted"], ["rejected", "Rejected"], ["share", "Last share"], ["pool", "Pool"], ["ping", "Pool ping"],
  ["temperature", "Hottest"], ["power", "Power"], ["uptime", "Uptime"], ["restarts", "Restarts"], ["threads", "Threads"],
  ["pages", "Huge pages"], ["profile", "Profile"],
];

function minerCard(miner, rigOf) {
  const mark = badge(miner.state);
  const { el, cells } = facts(FACTS);
  const reason = h("p.trouble", { hidden: true });
  const spark = h("div", { title: "The last hour" });
  const devices = h("div.table-wrap", { hidden: true, tabindex: "0", role: "region", "aria-label": `Devices of ${miner.name}` });
  const card = h("section.panel", { "data-card": "miner", "data-miner": miner.name, "aria-label": miner.name },
    h("div.head", null, h("div.row", null, h("h3.name", null, miner.name), mark, h("span.tag", { hidden: true }, "simulated")), spark,
      button("Stop …", "stop-miner", () => stop([rigOf()], miner.name), { class: "small" }),
      button("Restart …", "restart-miner", () => restart([rigOf()], miner.name), { class: "small" }),
      h("a.button.small", { href: link("console", rigOf().id, miner.name), "data-action": "console" }, "Console")),
    reason, el, devices);
  card.parts = { mark, cells, reason, devices, spark, rigOf, drawn: -Infinity };
  return card;
}

// Once a minute while there are readings.
async function drawSpark(card, { name: miner, hashrate: { now } }) {
  if (now === null || performance.now() - card.parts.drawn < 60_000) return;
  card.parts.drawn = performance.now();
  const rig = card.parts.rigOf();
  try {
    const path = rig.own ? `/miners/${part(miner)}/hashrate-history` : `/history/miners/${part(miner)}/hashrate${query({ peer: rig.id, since: "1h", points: 120 })}`;
    const list = await get(path);
    card.parts.spark.replaceChildren(sparkline(list.map((p) => p.hashrate)));
  } catch {
    // The chart above says that there is no history.
  }
}

function setMiner(card, m) {
  const { mark, cells, reason, devices } = card.parts;
  setBadge(mark, m.state);
  show(mark.nextElementSibling, m.simulated);
  show(reason, m.reason);
  put(reason, m.reason ?? "");
  attr(reason, "class", m.state === "hashing" ? "hint" : "trouble");
  for (const key of ["now", "minute", "quarter", "highest"]) put(cells[key], hashrate(m.hashrate[key]));
  put(cells.algorithm, m.algorithm ?? NONE);
  put(cells.accepted, count(m.accepted));
  const all = m.accepted === null || m.rejected === null ? null : m.accepted + m.rejected;
  put(cells.rejected, m.rejected === null ? NONE : `${count(m.rejected)} (${percent(m.rejected, all)})`);
  attr(cells.rejected, "class", rejectColour(m.accepted, m.rejected));
  age(cells.share, m.lastShareAt, NONE);
  cls(cells.share, "warn", shareIsLate(m));
  put(cells.pool, m.pool?.url ?? NONE);
  put(cells.ping, m.pool?.connected === false ? "not connected" : ping(m.pool?.pingMs));
  attr(cells.ping, "class", m.pool?.connected === false ? "bad" : null);
  const hottest = m.temperature ?? (m.devices ?? []).reduce((top, d) => (d.temperature > (top ?? -Infinity) ? d.temperature : top), null);
  put(cells.temperature, degrees(hottest));
  put(cells.power, power(m.power));
  put(cells.uptime, duration(m.uptime));
  put(cells.restarts, count(m.restarts));
  put(cells.threads, count(m.threads));
  put(cells.pages, m.hugePages ? `${count(m.hugePages.used)} of ${count(m.hugePages.total)}` : NONE);
  attr(cells.pages, "class", m.hugePages && m.hugePages.used < m.hugePages.total ? "warn" : null);
  put(cells.profile, m.profileId ?? NONE);
  setDevices(devices, m);
  drawSpark(card, m);
}

const DEVICE = [
  ["name", "Device", (d) => `${d.index} ${d.name ?? ""}`.trim()], ["hashrate", "Hashrate", (d) => hashrate(d.hashrate)],
  ["temperature", "Temperature", (d) => degrees(d.temperature)], ["fan", "Fan", (d) => measure(d.fan, "%")], ["power", "Power", (d) => power(d.power)],
];

function setDevices(place, miner) {
  const list = miner.devices ?? [];
  show(place, list.length > 0);
  if (!list.length) return;
  const kind = (i) => (i ? "number" : null);
  const body = place.querySelector("tbody") ?? place.appendChild(h("table", { "data-table": "devices" }, h("caption.hidden", null, `Devices of ${miner.name}`),
    h("thead", null, h("tr", null, ...DEVICE.map(([key, what], i) => h("th", { scope: "col", class: kind(i), "data-col": key }, what)))), h("tbody"))).lastElementChild;
  keyed(body, list, (d) => d.index, (d) => h("tr", { "data-id": d.index }, ...DEVICE.map(([key], i) => h("td", { class: kind(i), "data-col": key }))), (tr, d) => {
    DEVICE.forEach(([, , text], i) => put(tr.children[i], text(d)));
    cls(tr.children[1], "bad", d.hashrate === 0 && miner.state === "hashing");
  });
}

// ---- the page

const HEAD = [
  ["hashrate", "Hashrate"], ["shares", "Shares rejected"], ["report", "Last report"], ["load", "Load"], ["memory", "Memory free"],
  ["temperature", "CPU"], ["uptime", "Up for"], ["version", "Version"], ["address", "Address"], ["labels", "Labels"],
];

export function mount(root, { params, signal }) {
  const [id] = params;
  watch(id);
  signal.addEventListener("abort", () => watch(null));
  const rig = () => state.rigs.get(id);
  const whole = () => (state.report?.nodeId === id ? state.report : null);
  const heading = h("h1.name");
  const mark = badge("idle");
  const { el: headFacts, cells } = facts(HEAD);
  const why = h("p.trouble", { hidden: true });
  const miners = h("div.grid", { "data-card": "miners" });
  const noMiners = h("div", { hidden: true }, empty("Nothing runs here.", "Start a profile with the button above."));
  const happened = h("ul.list", { "data-card": "rig-events" });
  const quiet = h("p.soft", null, "Nothing lately.");
  const one = () => [rig()];
  const deployed = button("Deploy …", "deploy-rig", () => deploy(one()));
  const missing = h("div", { hidden: true }, empty("There is no rig with this address.", h("a", { href: link("rigs") }, "All rigs")));
  const log = new LogView({ short: true, signal });
  const logOf = h("h2", { id: "rig-log" }, "Log");
  const logs = h("section.panel", { "aria-labelledby": "rig-log", hidden: true }, h("div.head", null, logOf, h("a.button.small", { "data-action": "console" }, "Console")), log.box, log.status);
  let listening = null;

  const body = h("div.grid", { hidden: true },
    h("section.panel", { "data-card": "rig", "aria-label": "This rig" }, h("div.head", null, h("div.row", null, heading, mark, h("span.hint.as-of")),
      button("Start …", "start-rig", () => start(one()), { class: "primary" }), button("Stop all …", "stop-rig", () => stop(one())),
      button("Restart all …", "restart-rig", () => restart(one())), deployed), why, headFacts),
    h("h2.hidden", null, "Miners"), miners, noMiners, new FarmChart(signal, id).el,
    h("div.two", null, logs, h("section.panel", { "aria-labelledby": "rig-lately" }, h("h2", { id: "rig-lately" }, "What happened here"), quiet, happened)));
  root.append(h("p", null, h("a", { href: link("rigs") }, "← Rigs")), missing, body);

  function refresh() {
    if (!state.at) return;
    const r = rig();
    show(missing, !r);
    show(body, r);
    if (!r) return;
    put(heading, r.name);
    attr(heading, "title", r.name);
    setBadge(mark, r.state);
    asOf(body.firstElementChild, r.asOf);
    const view = rigView(r);
    const peer = state.peers.get(id);
    const full = whole();
    put(why, peer?.reason ?? "");
    show(why, peer?.reason);
    show(deployed, !r.own);
    put(cells.hashrate, ratesText(view.rates));
    put(cells.shares, view.accepted === null ? NONE : percent(view.rejected, view.accepted + view.rejected));
    attr(cells.shares, "class", rejectColour(view.accepted, view.rejected));
    age(cells.report, r.asOf);
    put(cells.load, r.load === null ? NONE : r.load.toFixed(2));
    put(cells.memory, full?.memory ? `${bytes(full.memory.available)} of ${bytes(full.memory.total)}` : NONE);
    put(cells.temperature, degrees(r.temperature));
    put(cells.uptime, duration(r.uptime));
    put(cells.version, r.version ?? NONE);
    put(cells.address, peer?.address ?? (r.own ? "this node" : NONE));
    const labels = Object.entries(peer?.labels ?? {});
    put(cells.labels, labels.length ? labels.map(([k, v]) => `${k}=${v}`).join(", ") : NONE);
    const list = full?.miners ?? r.miners;
    keyed(miners, list, (m) => m.name, (m) => minerCard(m, rig), setMiner);
    for (const card of miners.children) asOf(card, r.asOf);
    show(noMiners, !list.length);
    listen(r, list[0]?.name);
  }

  function listen(r, miner) {
    show(logs, miner);
    if (!miner || listening === miner) return;
    listening = miner;
    put(logOf, `Log of ${miner}`);
    attr(logs.querySelector("a"), "href", link("console", id, miner));
    log.open(r, miner, { lines: 100 });
  }

  function events() {
    const name = rig()?.name;
    const list = state.events.filter((e) => e.node === id || (name && e.peer === name)).slice(-EVENTS).reverse();
    keyed(happened, list, eventKey, eventItem);
    show(quiet, !list.length);
  }

  subscribe(["rigs", "peers", "report"], refresh, signal);
  subscribe(["events", "rigs"], events, signal);
  refresh();
  events();
}
