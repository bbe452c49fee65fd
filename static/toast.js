// Short words at the edge: what was done goes by itself, what went wrong stays until it is put away.
import { words } from "./api.js";
import { button, h } from "./dom.js";

const STAYS = 6000;

export function done(text) {
  const el = say("ok", text);
  setTimeout(() => el.remove(), STAYS);
}

export function failed(error, what = "") {
  const text = typeof error === "string" ? error : words(error);
  say("error", what ? `${what}: ${text}` : text);
}

function say(kind, text) {
  const place = document.getElementById("toasts");
  const el = h("div.toast", { "data-toast": kind, class: `toast ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("p", null, text), button("×", "dismiss", () => el.remove(), { "aria-label": "Dismiss", class: "quiet" }));
  // A dialog covers all but what is inside it.
  const top = [...document.querySelectorAll("dialog[open]")].pop();
  (top ?? place).append(el);
  while (place.children.length > 5) place.firstChild.remove();
  return el;
}
