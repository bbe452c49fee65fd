// The frame around the pages: login, the first line, the connection's state, colours, logout.
//
// Hooks for tests; they stay as they are:
//   body[data-page=overview|rigs|rig|nodes|console|profiles|history|settings|login]
//   body[data-link=connecting|live|lost|missing|bare|asleep|off]    the stream of changes
//   #summary, #link, #theme, #logout, #nav a[data-section=NAME], #toasts [data-toast=ok|error]
//   #login-form, #token, #login-error
//   [data-table=rigs|peers|requests|invites|miners|devices|audit|sessions|history|…] tr[data-id=ID] td[data-col=COLUMN]
//   button[data-action=NAME], [data-sort=COLUMN], dialog[data-dialog=NAME], form[data-form=NAME], fields by their names,
//   [data-error=FIELD], .badge[data-state=STATE], [data-card=NAME], [data-figure=NAME], [data-chart=NAME]
//   performance marks update-begin and update-end stand around each change of the page by the stream
import { del, get, post, whenLoggedOut, words } from "./api.js";
import * as ages from "./ages.js";
import { form } from "./dialog.js";
import { attr, cls, put, show } from "./dom.js";
import { sentence } from "./figures.js";
import { moment, span } from "./format.js";
import * as router from "./router.js";
import * as store from "./store.js";

const { state } = store;
const at = (id) => document.getElementById(id);
let inside = false;

// ---- in and out

function enter() {
  inside = true;
  show(at("login"), false);
  show(at("app"), true);
  store.start(leave);
  router.show(at("main"), true);
}

function leave() {
  if (inside) {
    store.stop();
    router.leave(at("main"));
  }
  inside = false;
  show(at("app"), false);
  show(at("login"), true);
  attr(document.body, "data-page", "login");
  document.title = "Log in · miner-cli";
  at("token").focus();
}

async function login(token) {
  try {
    await post("/session", { token });
    show(at("login-error"), false);
    enter();
  } catch (error) {
    leave();
    put(at("login-error"), words(error));
    show(at("login-error"), true);
  }
}

at("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  at("token").value = "";
  if (token) login(token);
});

at("logout").addEventListener("click", async () => {
  try {
    await del("/session");
    leave();
  } catch (error) {
    put(at("link"), `Not logged out: ${words(error)}`);
  }
});

whenLoggedOut(() => inside && leave());

// ---- the first line

let told = "";

function showSummary() {
  const { text, bad } = sentence();
  put(at("summary"), text);
  attr(at("summary"), "title", text);
  cls(at("summary"), "trouble-line", bad > 0);
  // Spoken when the rigs that need someone change, not at every figure.
  const words = bad ? text.split(" · ")[0].replace(/ for [^,]*/g, "") : "";
  if (words !== told) put(at("announce"), words || "All rigs are fine again");
  told = words;
  if (inside) document.title = document.title.replace(/^(\(\d+\) )?/, bad ? `(${bad}) ` : "");
}

const LINKS = {
  connecting: () => "Connecting …",
  live: () => "Live",
  lost: () => (state.at
    ? `Lost the daemon. What you see is of ${moment(state.at)}, ${span(Date.now() - state.heard)} old. Trying again.`
    : "The daemon does not answer. Trying again."),
  missing: () => "Live updates are not available from this daemon.",
  bare: () => "This node has no identity yet.",
  asleep: () => "Paused while the tab was hidden",
  off: () => "",
};

function showLink() {
  attr(document.body, "data-link", state.link);
  put(at("link"), LINKS[state.link]());
}

// A daemon that was just installed has no name and no key yet; both can be given here.
function giveIdentity() {
  if (state.link !== "bare" || document.querySelector("dialog")) return;
  form("init", "Name this node", {
    intro: ["This daemon has no identity yet. A controller steers rigs, a worker mines, a dual node does both."],
    fields: [
      { name: "name", label: "Name", placeholder: "control-center", required: true },
      { name: "role", label: "Role", value: "controller", options: [["controller", "Controller"], ["worker", "Worker"], ["dual", "Both"]] },
    ],
    action: "Make the identity",
    send: (values) => post("/node/init", values),
  });
}

store.subscribe(["link"], showLink);
store.subscribe(["link"], giveIdentity);
store.subscribe(["rigs", "totals", "alerts", "peers"], showSummary);
setInterval(() => state.link === "lost" && showLink(), 1000);

// ---- colours, and the pages that a phone has no room for

at("theme").value = document.documentElement.dataset.theme ?? "";
at("theme").addEventListener("change", () => {
  const { value } = at("theme");
  if (value) {
    localStorage.setItem("theme", value);
    document.documentElement.dataset.theme = value;
  } else {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  }
});

function more(open) {
  show(at("more-pages"), open);
  attr(at("more"), "aria-expanded", String(open));
}
at("more").addEventListener("click", () => more(at("more-pages").hidden));
addEventListener("hashchange", () => more(false));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !at("more-pages").hidden) {
    more(false);
    at("more").focus();
  }
});
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  at("main").focus();
});

// ---- begin

// A link that logs in: the token must stay neither in the address bar nor in the history.
function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    login(token);
  }
  return Boolean(token);
}

async function begin() {
  addEventListener("hashchange", (event) => takeToken() && event.stopImmediatePropagation());
  router.begin(at("main"));
  ages.begin();
  if (takeToken()) return;
  try {
    if ((await get("/session")).loggedIn) enter();
    else leave();
  } catch (error) {
    leave();
    put(at("login-error"), words(error));
    show(at("login-error"), true);
  }
}

begin();
