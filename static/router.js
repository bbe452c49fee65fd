// Addresses: `#/rigs/ID?view=…`. Each page is a module with `title` and `mount(root, context)`.
import { attr, h } from "./dom.js";
import { loading, trouble } from "./empty.js";

const PAGES = {
  overview: () => import("./overview.js"),
  rigs: () => import("./rigs.js"),
  rig: () => import("./rig.js"),
  nodes: () => import("./nodes.js"),
  console: () => import("./console.js"),
  profiles: () => import("./profiles.js"),
  history: () => import("./history.js"),
  settings: () => import("./settings.js"),
};

let current = null;

export function parse(hash) {
  const [path, search] = hash.replace(/^#\/?/, "").split("?");
  const [first = "", ...params] = path.split("/").map(safeDecode);
  let page = first || "overview";
  if (page === "rigs" && params.length) page = "rig";
  return { page: page in PAGES ? page : "overview", params, query: new URLSearchParams(search ?? "") };
}

function safeDecode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const link = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts) {
  location.hash = link(...parts);
}

// The reader has chosen another page, and the event that says so is still on its way: the address is no longer this page's.
const leaving = () => !current || location.hash !== current.hash;

// Puts another address in the place of this page's, which stays.
export function replace(...parts) {
  if (leaving()) return;
  history.replaceState(null, "", link(...parts));
  current.hash = location.hash;
}

// Puts what a page was told to filter or sort by into its address, without a step in the history.
export function setQuery(values) {
  if (leaving()) return;
  const { query } = parse(location.hash);
  for (const [key, value] of Object.entries(values)) {
    if (value) query.set(key, value);
    else query.delete(key);
  }
  const [path] = location.hash.split("?");
  const text = query.toString();
  history.replaceState(null, "", `${path || "#/overview"}${text ? `?${text}` : ""}`);
  current.hash = location.hash;
}

export async function show(root, first = false) {
  const { page, params, query } = parse(location.hash);
  current?.end.abort();
  const mine = { end: new AbortController(), hash: location.hash };
  current = mine;
  attr(document.body, "data-page", page);
  const section = page === "rig" ? "rigs" : page;
  for (const a of document.querySelectorAll("nav a[data-section]")) {
    attr(a, "aria-current", a.dataset.section === section ? "page" : null);
  }
  const slow = setTimeout(() => current === mine && root.replaceChildren(loading()), 150);
  let module;
  try {
    module = await PAGES[page]();
  } catch {
    clearTimeout(slow);
    root.replaceChildren(trouble({ message: "this page could not be loaded", hint: "reload it when the daemon is back" }));
    return;
  }
  clearTimeout(slow);
  if (current !== mine) return;
  const place = h("div.page", { "data-page": page });
  document.title = `${module.title} · miner-cli`;
  root.replaceChildren(place);
  module.mount(place, { params, query, signal: mine.end.signal });
  if (!first) {
    scrollTo(0, 0);
    const heading = root.querySelector("h1");
    if (heading) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
  }
}

export function leave(root) {
  current?.end.abort();
  current = null;
  root.replaceChildren();
}

export function begin(root) {
  addEventListener("hashchange", () => {
    if (current && location.hash !== current.hash) show(root);
  });
}
