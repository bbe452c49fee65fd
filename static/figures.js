// What the tables and the first line say of a rig. Hashrates of different algorithms are never added together.
import { stateOrder } from "./badge.js";
import { count, hashrate, plural, span } from "./format.js";
import { now, state } from "./store.js";

const known = (values) => values.filter((v) => v !== null && v !== undefined);
export const sum = (values) => (values.length ? values.reduce((a, b) => a + b, 0) : null);
const most = (values) => (values.length ? Math.max(...values) : null);

const views = new WeakMap();

// A rig's miners taken together. Made anew with each report, so what few look at is worked out when it is asked for.
class View {
  constructor(rig) {
    this.rig = rig;
    this.id = rig.id;
    this.rates = byAlgorithm(rig.miners, "now");
  }

  all(key) {
    return known(this.rig.miners.map((m) => m[key]));
  }

  get minute() { return byAlgorithm(this.rig.miners, "minute"); }
  get quarter() { return byAlgorithm(this.rig.miners, "quarter"); }
  get algorithms() { return [...new Set(this.all("algorithm"))].sort(); }
  get accepted() { return sum(this.all("accepted")); }
  get rejected() { return sum(this.all("rejected")); }
  get restarts() { return sum(this.all("restarts")); }
  get power() { return sum(this.all("power")); }
  get temperature() { return most(known([this.rig.temperature, ...this.all("temperature")])); }
  get lastShare() { return this.all("lastShareAt").sort().pop() ?? null; }
  get pool() { return this.rig.miners.find((m) => m.pool?.url)?.pool ?? null; }
  get reason() { return this.rig.miners.find((m) => m.reason)?.reason ?? null; }
  get uptime() { return most(this.all("uptime")); }
}

export function rigView(rig) {
  let view = views.get(rig);
  if (!view) views.set(rig, (view = new View(rig)));
  return view;
}

// [{algorithm, rate}], largest first.
export function byAlgorithm(miners, window) {
  if (miners.length === 1) {
    const [{ hashrate: rates, algorithm }] = miners;
    return rates?.[window] === null || rates?.[window] === undefined ? [] : [{ algorithm: algorithm ?? "unknown", rate: rates[window] }];
  }
  const sums = new Map();
  for (const miner of miners) {
    const rate = miner.hashrate?.[window];
    if (rate === null || rate === undefined) continue;
    const algorithm = miner.algorithm ?? "unknown";
    sums.set(algorithm, (sums.get(algorithm) ?? 0) + rate);
  }
  return [...sums].map(([algorithm, rate]) => ({ algorithm, rate })).sort((a, b) => b.rate - a.rate);
}

export function ratesText(rates, unit = null, between = " · ") {
  if (rates.length < 2) return hashrate(rates[0]?.rate, rates.length ? unit : null);
  const named = rates.slice(0, 2).map((r) => `${r.algorithm} ${hashrate(r.rate)}`);
  return [...named, ...(rates.length > 2 ? [`and ${rates.length - 2} more`] : [])].join(between);
}

// Rejected shares: amber from 2 %, red from 5 %.
export function rejectColour(accepted, rejected) {
  const all = (accepted ?? 0) + (rejected ?? 0);
  if (!rejected || all < 20) return "";
  const share = rejected / all;
  if (share >= 0.05) return "bad";
  return share >= 0.02 ? "warn" : "";
}

// A share that is more than five times overdue is worth a look.
export function shareIsLate(miner, at = now()) {
  if (!miner.lastShareAt || !miner.difficulty || !miner.hashrate?.now) return false;
  const expected = (miner.difficulty / miner.hashrate.now) * 1000;
  return at - Date.parse(miner.lastShareAt) > Math.max(5 * expected, 10_000);
}

// ---- what is wrong

const NAMED = 3;
const BAD = new Set(["unreachable", "crash-loop", "not-hashing", "degraded"]);
export const needsYou = (rig) => BAD.has(rig.state);

function stateText(rig) {
  if (rig.state !== "unreachable" || !rig.unreachableSince) return rig.state;
  return `unreachable for ${span(now() - Date.parse(rig.unreachableSince))}`;
}

function whyText(rig) {
  const { reason } = rigView(rig);
  return reason && rig.state !== "unreachable" ? `${rig.state}: ${reason}` : stateText(rig);
}

// One line for each thing that needs someone: the daemon's alerts, and rigs that are in a bad state without one.
export function troubles() {
  const named = new Map([...state.rigs.values()].map((rig) => [rig.name, rig]));
  const told = new Set(state.alerts.flatMap((alert) => alert.rigs));
  const list = state.alerts.map((alert) => ({
    key: `alert-${alert.id}`,
    severity: alert.severity,
    rigs: alert.rigs.map((rig) => ({ name: rig, id: named.get(rig)?.id ?? null })),
    text: alert.text,
    since: alert.since,
  }));
  for (const rig of state.rigs.values()) {
    if (!needsYou(rig) || told.has(rig.name)) continue;
    const severity = rig.state === "degraded" ? "warning" : "critical";
    const since = rig.unreachableSince ?? null;
    list.push({ key: `rig-${rig.id}`, severity, rigs: [rig], text: whyText(rig), since });
  }
  const rank = { critical: 0, warning: 1, info: 2 };
  return list.sort((a, b) => (rank[a.severity] ?? 3) - (rank[b.severity] ?? 3) || String(a.since).localeCompare(String(b.since)));
}

// The first line: is the farm all right, and if not, which rig and why.
export function sentence() {
  if (!state.totals) return { text: "", bad: 0 };
  const bad = [...state.rigs.values()].filter(needsYou);
  const alerted = state.alerts.flatMap((a) => a.rigs).filter((rig) => !bad.some((r) => r.name === rig));
  const number = bad.length + new Set(alerted).size;
  const { hashing, total } = state.totals.rigs;
  if (!total && !state.rigs.size) return { text: "No rigs yet", bad: 0 };
  const own = [...state.rigs.values()].find((rig) => rig.own);
  const good = total || !own ? `${count(hashing)} of ${plural(total, "rig")} hashing` : `This node: ${own.state}`;
  if (!number) {
    const sums = state.totals.algorithms.map((a) => `${a.algorithm} ${hashrate(a.hashrate)}`);
    return { text: [good, ...sums.slice(0, 4)].join(" · "), bad: 0 };
  }
  const worst = bad.sort((a, b) => stateOrder(a.state) - stateOrder(b.state)).slice(0, NAMED);
  const named = worst.map((rig) => `${clip(rig.name)} ${stateText(rig)}`);
  if (named.length < NAMED) named.push(...alerted.slice(0, NAMED - named.length).map(clip));
  const more = number > named.length ? [`and ${count(number - named.length)} more`] : [];
  const need = `${plural(number, "rig")} ${number === 1 ? "needs" : "need"} you`;
  return { text: `${need}: ${[...named, ...more].join(", ")} · ${good}`, bad: number };
}

// Isolated, so that marks in a name turn nothing but the name.
const clip = (text) => `\u2068${text.length > 40 ? `${text.slice(0, 39)}…` : text}\u2069`;
