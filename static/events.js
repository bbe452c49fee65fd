// What happened, one line each; the last lines of a miner before its crash loop unfold.
import { ageText } from "./ages.js";
import { lineOf } from "./ansi.js";
import { badge } from "./badge.js";
import { h, name } from "./dom.js";
import { link } from "./router.js";
import { state } from "./store.js";

// An event is shown anew once its rig is known and can be linked to.
export const eventKey = (event) => `${event.number}${state.rigs.has(event.node) ? " rig" : ""}`;

export function eventItem(event) {
  const rig = state.rigs.get(event.node);
  const who = rig ? h("a.name", { href: link("rigs", rig.id) }, event.nodeName) : name(event.nodeName, "strong");
  const about = event.peer && event.peer !== event.nodeName && !event.text.includes(event.peer) ? [" · ", name(event.peer)] : [];
  const log = event.log?.length
    ? h("details", null, h("summary", null, `The last ${event.log.length} lines`), h("div.log.short", { tabindex: "0", role: "region", "aria-label": "Lines" }, ...event.log.map((line) => lineOf(line))))
    : null;
  return h("li", { "data-kind": event.kind, "data-severity": event.severity }, badge(event.severity),
    h("div", null, h("div.text", null, who, ...about, " ", event.text), log), h("span.when", null, ageText(event.at)));
}
