// Every rig in one table: sorted, filtered, selected, and told what to do.
import { deploy, restart, searchText, start, stop } from "./actions.js";
import { asOf, age } from "./ages.js";
import { badge, setBadge, stateOrder, stateWord } from "./badge.js";
import { attr, button, cls, h, keyed, put, show } from "./dom.js";
import { empty } from "./empty.js";
import { ratesText, rejectColour, rigView, shareIsLate } from "./figures.js";
import { columnUnit, count, degrees, duration, NONE, percent, ping, plural, power } from "./format.js";
import { link, setQuery } from "./router.js";
import { state, subscribe } from "./store.js";
import { Table } from "./table.js";

export const title = "Rigs";
const OPTIONS_EVERY = 5000;


function nameCell(td, { rig }) {
  // On a narrow screen the state stands under the name, and its column is away.
  if (!td.firstElementChild) td.append(h("a.name"), h("div.below", null, badge(rig.state)));
  const [a, narrow] = td.children;
  setBadge(narrow.firstElementChild, rig.state);
  attr(a, "href", link("rigs", rig.id));
  attr(a, "title", rig.name);
  put(a, rig.name);
  const own = td.children[2];
  if (rig.own && !own) td.append(h("span.label", null, "this node"));
  else if (!rig.own && own) own.remove();
}

function labelsCell(td, row) {
  const labels = Object.entries(row.peer?.labels ?? {});
  attr(td, "title", labels.map(([key, value]) => `${key}=${value}`).join(", ") || null);
  keyed(td, labels, ([key]) => key, () => h("span.label"), (el, [key, value]) => {
    put(el, `${key}=${value}`);
  });
}

const put1 = (fn) => (td, row, unit) => {
  const text = fn(row, unit);
  put(td, text);
  attr(td, "title", text.length > 24 ? text : null);
};

function rateColumn(key, heading, label, view, priority) {
  const rates = (row) => row[view];
  return {
    key, title: heading, label, number: true, priority, width: "lines",
    sort: (row) => rates(row)[0]?.rate ?? null,
    unit: (rows) => columnUnit(rows.filter((row) => rates(row).length === 1).map((row) => rates(row)[0].rate)),
    cell: put1((row, unit) => ratesText(rates(row), unit, "\n")),
  };
}

const COLUMNS = [
  { key: "state", title: "State", priority: 2, sort: (row) => stateOrder(row.rig.state), cell(td, { rig, reason }) {
    setBadge(td.firstElementChild ?? td.appendChild(badge(rig.state)), rig.state);
    attr(td, "title", reason);
  } },
  { key: "name", title: "Rig", sort: (row) => row.rig.name, cell: nameCell },
  { key: "labels", title: "Labels", priority: 3, sort: (row) => Object.values(row.peer?.labels ?? {}).join(" "), cell: labelsCell },
  { key: "algorithm", title: "Algorithm", priority: 2, sort: (row) => row.algorithms.join(" "), cell: put1((row) => row.algorithms.join(", ") || NONE) },
  rateColumn("hashrate", "Hashrate", "Hashes a second, over the last 10 s", "rates"),
  rateColumn("minute", "1 min", "Over the last minute", "minute", 4),
  rateColumn("quarter", "15 min", "Over the last 15 minutes", "quarter", 4),
  { key: "accepted", title: "Accepted", number: true, priority: 2, sort: (row) => row.accepted, cell: put1((row) => count(row.accepted)) },
  { key: "rejected", title: "Rejected", number: true, priority: 2, sort: (row) => (row.accepted === null ? null : row.rejected / (row.accepted + row.rejected || 1)), cell(td, row) {
    const { accepted, rejected } = row;
    put(td, accepted === null || rejected === null ? NONE : percent(rejected, accepted + rejected));
    attr(td, "title", rejected === null ? null : `${count(rejected)} rejected`);
    attr(td, "class", `number p2 ${rejectColour(accepted, rejected)}`.trim());
  } },
  { key: "share", title: "Last share", number: true, priority: 3, sort: (row) => (row.lastShare ? Date.parse(row.lastShare) : null), cell(td, row) {
    age(td, row.lastShare, NONE);
    cls(td, "warn", row.rig.miners.some((m) => shareIsLate(m)));
  } },
  { key: "ping", title: "Pool ping", number: true, priority: 4, sort: (row) => row.pool?.pingMs, cell: put1((row) => (row.pool?.connected === false ? "no pool" : ping(row.pool?.pingMs))) },
  { key: "temperature", title: "Hottest", number: true, priority: 3, sort: (row) => row.temperature, cell: put1((row) => degrees(row.temperature)) },
  { key: "power", title: "Power", number: true, priority: 4, sort: (row) => row.power, cell: put1((row) => power(row.power)) },
  { key: "uptime", title: "Uptime", number: true, priority: 4, sort: (row) => row.uptime, cell: put1((row) => duration(row.uptime)) },
  { key: "restarts", title: "Restarts", number: true, priority: 4, sort: (row) => row.restarts, cell: put1((row) => count(row.restarts)) },
  { key: "seen", title: "Last report", number: true, priority: 3, sort: (row) => (row.rig.asOf ? Date.parse(row.rig.asOf) : null), cell: (td, { rig }) => age(td, rig.asOf) },
];

export function mount(root, { query, signal }) {
  const search = h("input", { type: "search", placeholder: "Name, label, algorithm, pool", "aria-label": "Filter rigs", name: "q", value: query.get("q") ?? "" });
  const which = h("select", { "aria-label": "State", name: "state" });
  const label = h("select", { "aria-label": "Label", name: "label" });
  const number = h("p.soft", { role: "status" });
  const chosen = h("strong");
  const selected = () => [...table.selected].map((id) => state.rigs.get(id)).filter(Boolean);
  const bar = h("div.row.sticky-bar", { hidden: true, "data-card": "selection", role: "region", "aria-label": "Selected rigs" }, chosen,
    button("Start …", "bulk-start", () => start(selected())), button("Stop …", "bulk-stop", () => stop(selected())),
    button("Restart …", "bulk-restart", () => restart(selected())), button("Deploy …", "bulk-deploy", () => deploy(selected())),
    button("Clear", "clear-selection", () => table.selectAll(false), { class: "quiet" }));

  const table = new Table({
    name: "rigs", caption: "Rigs", columns: COLUMNS, key: (row) => row.id, select: (row) => row.rig.name,
    sort: query.get("sort") || "name",
    onsort: (sort) => setQuery({ sort }),
    onselect: (ids) => {
      put(chosen, `${plural(ids.size, "rig")} selected`);
      show(bar, ids.size > 0);
    },
    decorate: (tr, row) => {
      asOf(tr, row.rig.asOf);
      attr(tr, "data-state", row.rig.state);
    },
    empty: () => (state.rigs.size
      ? empty("No rig fits the filter.", button("Show all rigs", "clear-filter", clear))
      : empty("No rigs yet.", "Make an invite on the page ", h("a", { href: link("nodes") }, "Nodes"), ", and on the rig run ", h("code", null, "miner-cli node join"), " with it.")),
  });
  signal.addEventListener("abort", table.end);

  function clear() {
    search.value = "";
    which.value = "";
    label.value = "";
    filter();
  }

  function filter() {
    setQuery({ q: search.value.trim(), state: which.value, label: label.value });
    refresh();
  }

  // New states and labels may come a little later than the rows.
  let offered = 0;
  function options() {
    if (Date.now() - offered < OPTIONS_EVERY) return;
    offered = Date.now();
    const states = [...new Set([...state.rigs.values()].map((rig) => rig.state))].sort((a, b) => stateOrder(a) - stateOrder(b));
    const labels = [...new Set([...state.peers.values()].flatMap((p) => Object.entries(p.labels).map(([k, v]) => `${k}=${v}`)))].sort();
    choices(which, "Every state", states, stateWord, query.get("state"));
    choices(label, "Every label", labels, (l) => l, query.get("label"));
    show(label, labels.length > 0);
    query.delete("state");
    query.delete("label");
  }

  function refresh() {
    if (!state.at) return;
    options();
    const wanted = search.value.trim().toLowerCase();
    const rows = [];
    for (const rig of state.rigs.values()) {
      if (which.value && rig.state !== which.value) continue;
      const peer = state.peers.get(rig.id);
      if (label.value && !fits(peer, label.value)) continue;
      if (wanted && !searchText(rig).includes(wanted)) continue;
      rows.push(rowOf(rig, peer));
    }
    table.update(rows);
    const all = state.rigs.size;
    put(number, rows.length === all ? plural(all, "rig") : `${rows.length} of ${plural(all, "rig")}`);
  }

  for (const el of [search, which, label]) el.addEventListener("input", filter);
  root.append(h("div.head", null, h("h1", null, title), number),
    h("div.panel.flush", null, h("div.bar", null, search, which, label), table.el), bar);
  subscribe(["rigs", "peers"], refresh, signal);
  refresh();
}

// Labels belong to the peer: a change of those alone makes another row, too.
function rowOf(rig, peer) {
  const view = rigView(rig);
  const labels = peer && JSON.stringify(peer.labels);
  if (view.labels === undefined || view.labels === labels) return Object.assign(view, { peer, labels });
  return Object.assign(Object.create(view), { peer, labels });
}

const fits = (peer, label) => Object.entries(peer?.labels ?? {}).some(([key, value]) => `${key}=${value}` === label);

function choices(select, all, values, word, wanted) {
  const now = wanted ?? select.value;
  if (now && !values.includes(now)) values = [now, ...values];
  const made = [...select.options].slice(1).map((o) => o.value);
  if (!select.options.length || made.join("\n") !== values.join("\n")) {
    select.replaceChildren(h("option", { value: "" }, all), ...values.map((v) => h("option", { value: v }, word(v))));
  }
  select.value = now;
}
