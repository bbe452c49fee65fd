// Keeps ages true without anyone else's doing: once a second it rewrites `[data-at]` and greys `[data-asof]`.
import { attr, cls, h, put } from "./dom.js";
import { ago, moment } from "./format.js";
import { now } from "./store.js";

// Three of the rigs' reports.
const OLD = 30_000;

// Makes `el` show how long ago `iso` was.
export function age(el, iso, never = "never") {
  if (iso) {
    attr(el, "data-at", iso);
    attr(el, "title", iso);
    put(el, ago(iso, now()));
  } else {
    attr(el, "data-at", null);
    attr(el, "title", null);
    put(el, never);
  }
  return el;
}

export const ageText = (iso, never) => age(h("time"), iso, never);

// Greys `el` once what it holds is old; an element `.as-of` inside says of when it is.
export function asOf(el, iso) {
  attr(el, "data-asof", iso ?? "");
  grey(el, now());
  return el;
}

function grey(el, at) {
  const iso = el.dataset.asof;
  const old = iso !== "" && at - Date.parse(iso) > OLD;
  cls(el, "old", old);
  const note = el.querySelector(".as-of");
  if (note) put(note, old ? `as of ${moment(iso, at)}` : "");
  if (old) attr(el, "title", `as of ${iso}`);
  else if (el.title.startsWith("as of ")) attr(el, "title", null);
}

function tick() {
  if (document.hidden) return;
  const at = now();
  for (const el of document.querySelectorAll("[data-at]")) put(el, ago(el.dataset.at, at));
  for (const el of document.querySelectorAll("[data-asof]")) grey(el, at);
}

export function begin() {
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}
