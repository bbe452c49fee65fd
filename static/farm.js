// Hashrate over time, of the farm or of one rig: a chart for each algorithm, or the lines of the strongest rigs.
import { each, get, query } from "./api.js";
import { Chart } from "./chart.js";
import { attr, button, h, put, show } from "./dom.js";
import { trouble } from "./empty.js";
import { rigView } from "./figures.js";
import { state } from "./store.js";

export const RANGES = [["5m", "5 min", 300], ["1h", "1 h", 3600], ["24h", "24 h", 86_400], ["7d", "7 d", 604_800], ["30d", "30 d", 2_592_000]];
const MOST = 8;
const CHARTS = 6;

// As a chart wants them: times as numbers.
export const points = (list, key = "hashrate") => list.map((p) => ({ at: Date.parse(p.timestamp), value: p[key] ?? null }));

// Buttons of which one is pressed; `choose(value)` on a change.
export function segmented(label, action, choices, value, choose) {
  const el = h("div.segmented", { role: "group", "aria-label": label });
  for (const [key, text] of choices) {
    el.append(button(text, action, () => {
      for (const b of el.children) attr(b, "aria-pressed", String(b.dataset.value === key));
      choose(key);
    }, { "data-value": key, "aria-pressed": String(key === value) }));
  }
  return el;
}

export class FarmChart {
  // `peer`: the rig whose hashrate it is; without one, the farm's.
  constructor(signal, peer = null) {
    Object.assign(this, { signal, peer, range: "24h", by: "algorithm", charts: new Map(), algorithms: [], turn: 0 });
    this.place = h("div.plots");
    this.said = h("div");
    this.only = h("select", { "aria-label": "Algorithm", name: "algorithm", hidden: true });
    this.only.addEventListener("change", () => this.load());
    this.el = h("section.panel", { "aria-labelledby": "farm", "data-card": "farm" },
      h("div.head", null, h("h2", { id: "farm" }, "Hashrate"), this.only,
        !peer && segmented("Lines", "chart-by", [["algorithm", "By algorithm"], ["rig", "By rig"]], this.by, (by) => this.turnTo({ by })),
        segmented("Range", "chart-range", RANGES, this.range, (range) => this.turnTo({ range }))),
      this.said, this.place);
    signal.addEventListener("abort", () => clearTimeout(this.timer));
    document.addEventListener("visibilitychange", () => document.hidden || this.load(), { signal });
    this.load();
  }

  turnTo(what) {
    Object.assign(this, what);
    this.load();
  }

  // What is hashed now decides which algorithms can be chosen.
  now(totals) {
    const names = totals.algorithms.map((a) => a.algorithm);
    if (names.join("\n") === this.algorithms.join("\n")) return;
    this.algorithms = names;
    const chosen = this.only.value;
    this.only.replaceChildren(...names.map((n) => h("option", { value: n, selected: n === chosen }, n)));
    show(this.only, this.by === "rig" && names.length > 1);
    if (this.by === "rig") this.load();
  }

  async load() {
    clearTimeout(this.timer);
    if (this.signal.aborted || document.hidden) return;
    const turn = ++this.turn;
    let wait = Math.max(10, Math.min(300, RANGES.find(([key]) => key === this.range)[2] / 120));
    show(this.only, this.by === "rig" && this.algorithms.length > 1);
    try {
      const sets = this.by === "rig" ? await this.rigs() : await this.farm();
      if (turn !== this.turn || this.signal.aborted) return;
      this.draw(sets);
      if (!sets.length) wait = 10;
    } catch (error) {
      if (turn !== this.turn || this.signal.aborted) return;
      this.said.replaceChildren(error.missing ? h("p.soft", null, "History is not available from this daemon, so there is no chart.") : trouble(error, "history"));
    }
    this.timer = setTimeout(() => this.load(), wait * 1000);
  }

  ask(params) {
    return get(`/history/totals${query({ since: this.range, points: 240, ...params })}`, this.signal);
  }

  async farm() {
    const { series, since, until } = await this.ask({ peer: this.peer });
    const span = { since: Date.parse(since), until: Date.parse(until) };
    return series.slice(0, CHARTS).map((s) => ({ ...span, key: s.algorithm, series: [{ label: s.algorithm, points: points(s.points) }, ...effective(s)] }));
  }

  async rigs() {
    const algorithm = this.only.value || this.algorithms[0];
    const rate = (rig) => rigView(rig).rates.find((r) => r.algorithm === algorithm)?.rate ?? -1;
    const rigs = [...state.rigs.values()].filter((rig) => rate(rig) >= 0).sort((a, b) => rate(b) - rate(a)).slice(0, MOST);
    if (!rigs.length) return [];
    const lines = new Map();
    let span = null;
    await each(rigs, 3, async (rig) => {
      const { series, since, until } = await this.ask({ algorithm, peer: rig.id });
      span ??= { since: Date.parse(since), until: Date.parse(until) };
      lines.set(rig.id, points(series[0]?.points ?? []));
    });
    const all = rigs.map((rig) => ({ label: rig.name, points: lines.get(rig.id) }));
    return [{ ...span, key: `${algorithm}, the strongest rigs`, series: all }];
  }

  draw(sets) {
    const keys = new Set(sets.map((s) => s.key));
    for (const [key, { box }] of this.charts) {
      if (keys.has(key)) continue;
      box.remove();
      this.charts.delete(key);
    }
    for (const set of sets) {
      let made = this.charts.get(set.key);
      if (!made) {
        const chart = new Chart({ name: `farm-${set.key}`, label: `Hashrate of ${set.key}`, size: sets.length > 1 ? "low" : null, signal: this.signal });
        made = { chart, box: chart.el };
        this.charts.set(set.key, made);
        this.place.append(made.box);
      }
      made.chart.update(set);
    }
    const none = state.totals?.rigs.hashing ? "The first readings come within a minute." : "Nothing has hashed in this time.";
    put(this.said, sets.length ? "" : none);
  }
}

// What the accepted shares are worth, where the difficulty is known.
function effective({ points: list }) {
  if (!list.some((p) => (p.effective ?? null) !== null)) return [];
  return [{ label: "effective, by accepted shares", points: points(list, "effective"), place: 9 }];
}
