// The farm at a glance: is it all right, what does it make, what needs someone, what happened.
import { asOf, age } from "./ages.js";
import { badge, setBadge } from "./badge.js";
import { attr, cls, h, keyed, name, put, show } from "./dom.js";
import { empty } from "./empty.js";
import { eventItem, eventKey } from "./events.js";
import { FarmChart } from "./farm.js";
import { rejectColour, sum, troubles } from "./figures.js";
import { count, hashrate, percent, plural, power } from "./format.js";
import { link } from "./router.js";
import { state, subscribe } from "./store.js";

export const title = "Overview";
const LATELY = 10;
const TROUBLES = 12;

function figure(key, what) {
  return h("div.figure", { "data-figure": key }, h("div.what", null, h("span", null, what), h("span.as-of")), h("div.value"), h("div.note"));
}

function fill(el, value, note, colour = "") {
  put(el.children[1], value);
  attr(el.children[1], "class", `value ${colour}`.trim());
  attr(el.children[1], "title", value);
  put(el.children[2], note);
  asOf(el, state.at);
}

// Watts of those that tell, and what an algorithm's miners make of each.
function powers() {
  const by = new Map();
  const known = [];
  let telling = 0;
  for (const rig of state.rigs.values()) {
    const of = rig.state === "unreachable" ? [] : rig.miners.filter((m) => m.power !== null && m.power !== undefined);
    if (of.length) telling++;
    for (const miner of of) {
      known.push(miner.power);
      if (!miner.hashrate.now || !miner.power) continue;
      const sums = by.get(miner.algorithm) ?? { rate: 0, power: 0 };
      sums.rate += miner.hashrate.now;
      sums.power += miner.power;
      by.set(miner.algorithm, sums);
    }
  }
  return { total: sum(known), telling, by };
}

const OTHERS = [["degraded", "degraded"], ["notHashing", "not hashing"], ["crashLoop", "in a crash loop"], ["unreachable", "unreachable"], ["idle", "idle"], ["awaitingApproval", "awaiting approval"]];

function figures() {
  const { totals } = state;
  const { rigs } = totals;
  const { total, telling, by } = powers();
  const others = OTHERS.filter(([key]) => rigs[key]).map(([key, words]) => `${count(rigs[key])} ${words}`);
  const bad = rigs.unreachable + rigs.crashLoop + rigs.notHashing;
  const list = [["rigs", "Rigs hashing", `${count(rigs.hashing)} of ${count(rigs.total)}`, others.join(", ") || "none missing", bad ? "bad" : ""]];
  for (const a of totals.algorithms) {
    const made = by.get(a.algorithm);
    const pretended = a.simulated ? (a.simulated === a.miners ? "simulated" : "partly simulated") : null;
    const efficiency = made ? `${hashrate(made.rate / made.power)} per W` : null;
    list.push([`algorithm-${a.algorithm}`, a.algorithm, hashrate(a.hashrate), [plural(a.rigs, "rig"), efficiency, pretended].filter(Boolean).join(" · ")]);
  }
  const all = totals.accepted + totals.rejected;
  list.push(["shares", "Shares accepted", percent(totals.accepted, all), `${count(totals.accepted)} accepted, ${count(totals.rejected)} rejected`, rejectColour(totals.accepted, totals.rejected)]);
  const whose = telling === state.rigs.size ? "all rigs" : `known of ${count(telling)} of ${plural(state.rigs.size, "rig")}`;
  list.push(["power", "Power", power(total), total === null ? "no rig tells its power" : whose]);
  return list;
}

function troubleItem(item) {
  const who = h("span");
  return h("li", { "data-severity": item.severity }, badge(item.severity), h("div.text", null, who, " ", h("span")), h("span.when"));
}

function setTrouble(li, item) {
  setBadge(li.children[0], item.severity);
  const [who, text] = li.children[1].children;
  if (who.dataset.rigs !== item.rigs.map((r) => r.name).join("\n")) {
    who.dataset.rigs = item.rigs.map((r) => r.name).join("\n");
    who.replaceChildren(...item.rigs.flatMap((rig, i) => [i ? ", " : "", rig.id ? h("a.name", { href: link("rigs", rig.id) }, rig.name) : name(rig.name, "strong")]));
  }
  put(text, item.text);
  if (item.since) age(li.children[2], item.since);
}

export function mount(root, { signal }) {
  const cards = h("div.figures", { "data-card": "figures" });
  const chart = new FarmChart(signal);
  const needs = h("ul.list", { "data-card": "needs-you" });
  const fine = h("div");
  const more = h("p");
  const lately = h("ul.list", { "data-card": "lately" });
  const quiet = h("p.soft", { hidden: true }, "Nothing has happened yet.");
  const welcome = h("div.panel", { hidden: true, "data-card": "welcome" }, empty("No rigs yet.",
    "On this machine ", h("code", null, "miner-cli node invite"), " prints an invite, or make one on the page ", h("a", { href: link("nodes") }, "Nodes"),
    ". On the rig run ", h("code", null, "miner-cli node join ADDRESS INVITE"), "."));
  root.append(h("h1.hidden", null, title), cards, welcome, chart.el, h("div.two", null,
    h("section.panel", { "aria-labelledby": "needs" }, h("h2", { id: "needs" }, "Needs you"), fine, needs, more),
    h("section.panel", { "aria-labelledby": "lately" }, h("h2", { id: "lately" }, "Lately"), quiet, lately)));

  function now() {
    if (!state.totals) return;
    const list = figures();
    keyed(cards, list, (f) => f[0], ([key, what]) => figure(key, what), (el, [, , value, note, colour]) => fill(el, value, note, colour));
    show(welcome, state.rigs.size === 0);
    const wrong = troubles();
    keyed(needs, wrong.slice(0, TROUBLES), (t) => t.key, troubleItem, setTrouble);
    put(more, wrong.length > TROUBLES ? `and ${wrong.length - TROUBLES} more on the page Rigs` : "");
    const text = state.rigs.size ? "Nothing. Every rig does what it should." : "Nothing.";
    put(fine, wrong.length ? "" : text);
    cls(fine, "soft", true);
    show(fine, !wrong.length);
    chart.now(state.totals);
  }

  let known = 0;
  function rigsCame() {
    if (known === state.rigs.size) return;
    known = state.rigs.size;
    events();
  }

  function events() {
    const last = state.events.slice(-LATELY).reverse();
    keyed(lately, last, eventKey, eventItem);
    show(quiet, !last.length);
  }

  subscribe(["totals", "rigs", "alerts"], now, signal);
  subscribe(["events"], events, signal);
  subscribe(["rigs"], rigsCame, signal);
  now();
  events();
}
