// What was: rigs and times of one's choosing side by side, and as a file.
import { pickRigs } from "./actions.js";
import { each, get, query } from "./api.js";
import { ageText } from "./ages.js";
import { Chart, seriesClass } from "./chart.js";
import { attr, button, download, h, keyed, name, put, show } from "./dom.js";
import { empty, loading, trouble } from "./empty.js";
import { points, RANGES, segmented } from "./farm.js";
import { count, csv, hashrate } from "./format.js";
import { setQuery } from "./router.js";
import { state, subscribe } from "./store.js";
import { Table, text } from "./table.js";

export const title = "History";
const MOST = 12;
const CUSTOM = "custom";

// What an <input type=datetime-local> holds.
const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

const COLUMNS = [
  { key: "peer", title: "Rig", sort: (r) => r.peer, cell: (td, r) => td.firstChild ? put(td.firstChild, r.peer) : td.append(name(r.peer ?? "this node")) },
  { key: "miner", title: "Miner", sort: (r) => r.minerName, cell: text((r) => r.minerName) },
  { key: "algorithm", title: "Algorithm", priority: 2, sort: (r) => r.algorithm, cell: text((r) => r.algorithm ?? "–") },
  { key: "average", title: "Average", number: true, sort: (r) => r.averageRate, cell: text((r) => hashrate(r.averageRate)) },
  { key: "min", title: "Lowest", number: true, priority: 3, sort: (r) => r.minRate, cell: text((r) => hashrate(r.minRate)) },
  { key: "max", title: "Highest", number: true, priority: 2, sort: (r) => r.maxRate, cell: text((r) => hashrate(r.maxRate)) },
  { key: "points", title: "Readings", number: true, priority: 3, sort: (r) => r.totalPoints, cell: text((r) => count(r.totalPoints)) },
  { key: "last", title: "Last", number: true, priority: 2, sort: (r) => Date.parse(r.lastSeen), cell: (td, r) => td.replaceChildren(ageText(r.lastSeen)) },
];

export function mount(root, { query: asked, signal }) {
  let range = asked.get("range") || "24h";
  let chosen = (asked.get("rigs") || "").split(",").filter(Boolean);
  let sets = [];
  let turn = 0;
  const from = h("input", { type: "datetime-local", id: "history-from", value: asked.get("from") || local(Date.now() - 86_400_000) });
  const to = h("input", { type: "datetime-local", id: "history-to", value: asked.get("to") || local(Date.now()) });
  const custom = h("div.row", { hidden: range !== CUSTOM }, h("label", { for: from.id }, "From"), from, h("label", { for: to.id }, "to"), to);
  const algorithm = h("select", { "aria-label": "Algorithm", name: "algorithm", hidden: true });
  const chips = h("div.row", { "data-card": "picked" });
  const said = h("div", null, loading());
  const chart = new Chart({ name: "history", label: "Hashrate", size: "tall", signal });
  const save = button("Export CSV", "export", exportCsv, { disabled: true });
  const table = new Table({ name: "history", caption: "Miners in this time", columns: COLUMNS, key: (r) => `${r.peerId}/${r.minerName}/${r.algorithm}`, sort: "peer", empty: () => empty("No miner was seen in this time.") });
  signal.addEventListener("abort", table.end);
  const pick = button("Pick rigs …", "pick-rigs", async () => {
    const rigs = await pickRigs(`Compare rigs, up to ${MOST}`, "Compare", new Set(chosen));
    if (!rigs) return;
    chosen = rigs.slice(0, MOST).map((rig) => rig.id);
    load();
  });
  const miners = h("section.panel.flush", { "aria-labelledby": "history-miners", hidden: true }, h("div.head", null, h("h2", { id: "history-miners" }, "Miners in this time")), table.el);
  const known = (on) => {
    save.disabled = !on;
    for (const el of [miners, chart.el]) show(el, on);
  };
  known(false);
  root.append(h("div.head", null, h("h1", null, title), save),
    h("section.panel", { "aria-label": "Chart" },
      h("div.row", null, pick, algorithm, segmented("Range", "chart-range", [...RANGES, [CUSTOM, "Dates"]], range, (value) => {
        range = value;
        show(custom, range === CUSTOM);
        load();
      }), custom), chips, said, chart.el),
    miners);

  function times() {
    if (range !== CUSTOM) return { since: range };
    const [since, until] = [Date.parse(from.value), Date.parse(to.value)];
    if (!(since < until)) throw new Error("the time must begin before it ends");
    return { since: new Date(since).toISOString(), until: new Date(until).toISOString() };
  }

  const rigName = (id) => state.rigs.get(id)?.name ?? id.slice(0, 8);

  function showChosen() {
    keyed(chips, chosen, (id) => id, (id) => h("span.label.chip", null, h("span"), name(rigName(id)), button("×", "unpick", () => {
      chosen = chosen.filter((one) => one !== id);
      load();
    }, { class: "quiet", "aria-label": `Leave ${rigName(id)} out` })));
    [...chips.children].forEach((el, i) => attr(el.firstChild, "class", `swatch ${seriesClass(i)}`));
    show(chips, chosen.length > 0);
    setQuery({ range: range === "24h" ? "" : range, rigs: chosen.join(","), from: range === CUSTOM ? from.value : "", to: range === CUSTOM ? to.value : "" });
  }

  async function load() {
    const mine = ++turn;
    showChosen();
    try {
      const span = times();
      const whole = await get(`/history/totals${query({ ...span, points: 300 })}`, signal);
      if (mine !== turn) return;
      offer(whole.series.map((s) => s.algorithm));
      sets = chosen.length ? await ofRigs(span) : [{ label: "all rigs", points: of(whole.series) }];
      if (mine !== turn) return;
      said.replaceChildren();
      known(true);
      chart.update({ series: sets, since: Date.parse(whole.since), until: Date.parse(whole.until) });
      const seen = await get(`/history/miners${query(span)}`, signal);
      if (mine === turn) table.update(chosen.length ? seen.filter((m) => chosen.includes(m.peerId)) : seen);
    } catch (error) {
      if (signal.aborted || mine !== turn) return;
      known(false);
      said.replaceChildren(error.missing ? empty("History is not available from this daemon.", "It is there once the daemon keeps one; see the page Settings.") : trouble(error, "history"));
    }
  }

  const of = (series) => points(series.find((s) => s.algorithm === algorithm.value)?.points ?? []);

  async function ofRigs(span) {
    const lines = new Map();
    await each(chosen, 3, async (id) => {
      const { series } = await get(`/history/totals${query({ ...span, points: 300, peer: id, algorithm: algorithm.value })}`, signal);
      lines.set(id, of(series));
    });
    return chosen.map((id) => ({ label: rigName(id), points: lines.get(id) }));
  }

  function offer(names) {
    const now = algorithm.value || asked.get("algorithm");
    if ([...algorithm.options].map((o) => o.value).join("\n") === names.join("\n")) return;
    algorithm.replaceChildren(...names.map((n) => h("option", { value: n, selected: n === now }, n)));
    show(algorithm, names.length > 0);
  }

  function exportCsv() {
    const at = [...new Set(sets.flatMap((s) => s.points.map((p) => p.at)))].sort((a, b) => a - b);
    const values = sets.map((s) => new Map(s.points.map((p) => [p.at, p.value])));
    const rows = at.map((t) => [new Date(t).toISOString(), ...values.map((v) => v.get(t) ?? null)]);
    download(`hashrate-${algorithm.value}-${range}.csv`, csv([["time", ...sets.map((s) => `${s.label} H/s`)], ...rows]), "text/csv");
  }

  algorithm.addEventListener("change", load);
  for (const el of [from, to]) el.addEventListener("change", load);
  let named = false;
  subscribe(["rigs"], () => {
    // Names come with the first message.
    if (named || !state.rigs.size) return;
    named = true;
    chips.replaceChildren();
    load();
  }, signal);
  named = state.rigs.size > 0;
  load();
}
