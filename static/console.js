// The live log of a miner.
import { attr, button, download, h, put, show } from "./dom.js";
import { empty } from "./empty.js";
import { plural } from "./format.js";
import { LogView } from "./logview.js";
import { link, replace } from "./router.js";
import { state, subscribe } from "./store.js";

export const title = "Console";

export function mount(root, { params, signal }) {
  const view = new LogView({ signal });
  let open = null;
  const rigSelect = h("select", { name: "rig", id: "console-rig" });
  const minerSelect = h("select", { name: "miner", id: "console-miner" });
  const search = h("input", { type: "search", name: "search", placeholder: "Search", "aria-label": "Search the lines" });
  const hits = h("span.hint", { role: "status" });
  const toggle = (text, action, on, change) => {
    const el = button(text, action, () => {
      const now = el.getAttribute("aria-pressed") !== "true";
      attr(el, "aria-pressed", String(now));
      change(now);
    }, { "aria-pressed": String(on) });
    return el;
  };
  const pause = toggle("Pause", "pause", false, (on) => {
    put(pause, on ? "Go on" : "Pause");
    view.pause(on);
  });
  const only = toggle("Only matches", "only-matches", false, find);
  const previous = toggle("Previous run", "previous", false, reopen);
  const wrap = toggle("Wrap", "wrap", true, (on) => view.wrap(on));
  const save = button("Download", "download", () => download(`${rigName()}-${minerSelect.value}.log`, view.text()));
  const none = h("div");
  const field = (text, el) => h("div.row", null, h("label", { for: el.id }, text), el);
  const tools = h("div.stack", null,
    h("div.row", null, field("Rig", rigSelect), field("Miner", minerSelect), previous),
    h("div.row", null, search, only, hits, h("span.grow"), pause, wrap, save));
  root.append(h("h1", null, title), h("section.panel", { "aria-label": "Log" }, tools, none, view.box, view.status));

  const rigName = () => state.rigs.get(rigSelect.value)?.name ?? "rig";

  function find() {
    const found = view.search(search.value, only.getAttribute("aria-pressed") === "true");
    put(hits, found === null ? "" : plural(found, "line"));
  }

  function fillRigs() {
    const rigs = [...state.rigs.values()].filter((rig) => rig.miners.length || rig.id === params[0])
      .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    const wanted = rigSelect.value || params[0] || rigs[0]?.id;
    const known = [...rigSelect.options].map((o) => o.value).join();
    if (known !== rigs.map((r) => r.id).join()) {
      rigSelect.replaceChildren(...rigs.map((rig) => h("option", { value: rig.id, selected: rig.id === wanted }, rig.name)));
    }
    fillMiners();
  }

  function fillMiners() {
    const miners = (state.rigs.get(rigSelect.value)?.miners ?? []).map((m) => m.name);
    const wanted = minerSelect.value && miners.includes(minerSelect.value) ? minerSelect.value : params[1];
    if (wanted && rigSelect.value === params[0] && params[1] && !miners.includes(params[1])) miners.push(params[1]);
    if ([...minerSelect.options].map((o) => o.value).join() !== miners.join()) {
      minerSelect.replaceChildren(...miners.map((m) => h("option", { value: m, selected: m === wanted }, m)));
    }
    const nothing = !state.rigs.size || !miners.length;
    for (const el of [tools, view.box]) show(el, !nothing);
    none.replaceChildren(...(nothing ? [empty("No miner to listen to.", "Start one on the page ", h("a", { href: link("rigs") }, "Rigs"), ".")] : []));
    const key = `${rigSelect.value}/${minerSelect.value}`;
    if (minerSelect.value && key !== open) reopen();
  }

  function reopen() {
    const rig = state.rigs.get(rigSelect.value);
    if (!rig || !minerSelect.value) return;
    open = `${rig.id}/${minerSelect.value}`;
    replace("console", rig.id, minerSelect.value);
    view.open(rig, minerSelect.value, { previous: previous.getAttribute("aria-pressed") === "true" });
  }

  rigSelect.addEventListener("change", () => {
    minerSelect.replaceChildren();
    fillMiners();
  });
  minerSelect.addEventListener("change", reopen);
  search.addEventListener("input", find);
  subscribe(["rigs"], fillRigs, signal);
  if (state.at) fillRigs();
}
