// Nothing to show, in words, with what to do next; and trouble in the place of what it hides.
import { words } from "./api.js";
import { h } from "./dom.js";

export function empty(title, ...next) {
  return h("div.empty", null, h("p.strong", null, title), next.length ? h("p", null, ...next) : null);
}

export function trouble(error, what) {
  const text = error.missing ? `This daemon has no ${what} yet.` : words(error);
  return h("p.trouble", { role: "alert" }, text);
}

export const loading = () => h("p.soft.loading", null, "Loading …");
