// Who may come in, what the owner's policy allows, who is told of trouble, what was asked of this node, and versions.
import { del, get, part, post } from "./api.js";
import { ageText } from "./ages.js";
import { badge, setBadge } from "./badge.js";
import { confirm } from "./dialog.js";
import { attr, button, h, keyed, put, show } from "./dom.js";
import { empty, loading, trouble } from "./empty.js";
import { bytes, count, duration, NONE, plural } from "./format.js";
import { link } from "./router.js";
import { state, subscribe } from "./store.js";
import { Table, text } from "./table.js";
import { done, failed } from "./toast.js";

export const title = "Settings";

// A panel that loads by itself; `fill(place)` may throw.
function section(key, heading, signal, fill, ...tools) {
  const place = h("div.stack", null, loading());
  const el = h("section.panel", { id: `settings-${key}`, "data-card": key, "aria-labelledby": `head-${key}` }, h("div.head", null, h("h2", { id: `head-${key}`, tabindex: "-1" }, heading), ...tools), place);
  el.load = async () => {
    try {
      await fill(place);
    } catch (error) {
      if (!signal.aborted) place.replaceChildren(error.missing ? h("p.soft", null, `This daemon has no ${heading.toLowerCase()} yet.`) : trouble(error, heading));
    }
  };
  el.load();
  return el;
}

const fact = (what, value, wide) => h("div", { class: wide ? "wide" : null }, h("dt", null, what), h("dd", null, value));

// ---- token and sessions

function token(signal) {
  return section("token", "Token", signal, (place) => place.replaceChildren(
    h("p", null, "The token opens everything on this node, so it is not shown here. On this machine ", h("code", null, "miner-cli node token"), " prints it and ", h("code", null, "miner-cli dashboard"), " prints a link that logs in."),
    h("p.soft", null, "It is in the file ", h("code", null, "token"), " of the daemon's run folder, which only its owner can read: ", h("code", null, "run"), " in the folder given with ", h("code", null, "--home"), ", else ", h("code", null, "$XDG_RUNTIME_DIR/lethean-desktop"), ". A service of the system has it in ", h("code", null, "/run/miner-cli"), "; there it takes ", h("code", null, "sudo miner-cli node token"), ", or the group ", h("code", null, "miner-cli"), ".")));
}

function sessions(signal) {
  const el = section("sessions", "Sessions", signal, async (place) => {
    const all = await get("/sessions", signal);
    const list = place.querySelector("ul") ?? h("ul.list", { "data-table": "sessions" });
    keyed(list, all, (s) => s.id, (s) => h("li", { "data-id": s.id }, badge(s.current ? "connected" : "idle", s.current ? "this one" : "other"),
      h("div.text", null, `from ${s.from}, since `, ageText(s.createdAt), ", last used ", ageText(s.lastUsed)),
      s.current ? h("span") : button("End", "end-session", () => end(`/sessions/${part(s.id)}`, "End this session?", `Whoever uses the session from ${s.from} has to log in again.`, "End the session"), { class: "small", "aria-label": `End the session from ${s.from}` })));
    if (!list.isConnected) place.replaceChildren(list);
    show(others, all.some((s) => !s.current));
  });
  async function end(path, heading, words, action) {
    if (!(await confirm(heading, [words], action))) return;
    try {
      await del(path);
      done("Ended");
    } catch (error) {
      failed(error);
    }
    el.load();
  }
  const others = button("End all others …", "end-sessions", () => end("/sessions", "End all other sessions?", "Every other browser that is logged in has to log in again. Yours stays.", "End all others"), { hidden: true });
  el.firstElementChild.append(others);
  return el;
}

// ---- policy

const REMOTE = { "full": "Controllers may start, stop and deploy.", "start-stop": "Controllers may start what is on the rig, stop and restart; deploy nothing.", "read-only": "Controllers may look, and change nothing." };

function policy(signal) {
  return section("policy", "Policy", signal, async (place) => {
    const p = await get("/policy", signal);
    const limit = (list) => (list === null ? h("span.soft", null, "no limit") : list.length ? h("ul", null, ...list.map((x) => h("li.mono", null, x))) : "none at all");
    place.replaceChildren(h("p.soft", null, "What this node accepts from others. It is in [policy] of config.toml on this machine; nothing here can change it."),
      h("dl.facts", null, fact("From controllers", `${p.remote}: ${REMOTE[p.remote] ?? ""}`, true), fact("Wallets", limit(p.wallets), true), fact("Pools", limit(p.pools)), fact("Controllers", limit(p.controllers)), fact("Arguments", limit(p.arguments))));
  });
}

// ---- alerts

function alerts(signal) {
  const test = button("Send a test", "test-alerts", () => send());
  const results = h("ul.list", { "aria-live": "polite", "data-card": "alert-results" });
  const el = section("alerts", "Alerts", signal, async (place) => {
    const a = await get("/alerts", signal);
    const list = h("ul.list", { "data-table": "channels" }, ...a.channels.map((c) => h("li", { "data-id": c.name }, badge(c.lastError ? "failed" : "done", c.lastError ? "failing" : "ready"),
      h("div", null, h("div.text", null, h("strong", null, c.name), ` (${[c.type, c.format].filter(Boolean).join(", ")})`), c.lastError ? h("div.bad.text", null, c.lastError) : null,
        h("div.hint", null, "Last delivery: ", ageText(c.lastDelivery), c.waiting ? `, ${c.waiting} waiting` : "", c.dropped ? `, ${c.dropped} dropped` : "")),
      button("Test", "test-channel", () => send(c.name), { class: "small", "aria-label": `Send a test to ${c.name}` }))));
    show(test, a.channels.length > 0);
    place.replaceChildren(h("p.soft", null, a.enabled ? "Sent when one of these stays so for a while:" : "Alerts are switched off in config.toml. They would tell of:"),
      h("ul.bullets", null, ...a.rules.map((r) => h("li", { "data-rule": r.rule }, r.text))),
      h("h3", null, "Where they go"), a.channels.length ? list : h("p.soft", null, "Nowhere yet: [alerts] in config.toml names the channels."), results);
  }, test);
  async function send(channel) {
    test.disabled = true;
    try {
      const answer = await post("/alerts/test", channel ? { channel } : {});
      results.replaceChildren(...answer.results.map((r) => h("li", { "data-id": r.channel }, badge(r.delivered ? "done" : "failed", r.delivered ? "delivered" : "failed"), h("span.text", null, r.channel, r.error ? `: ${r.error}` : ""))));
    } catch (error) {
      failed(error, "The test");
    }
    test.disabled = false;
  }
  return el;
}

// ---- audit

const AUDIT = [
  { key: "at", title: "When", sort: (r) => r.at, cell: (td, r) => td.replaceChildren(ageText(r.at)) },
  { key: "who", title: "Who", sort: (r) => r.who, cell: text((r) => r.who) },
  { key: "what", title: "What", sort: (r) => r.what, width: "wide-text", cell: text((r) => r.what) },
  { key: "result", title: "Result", sort: (r) => r.result, width: "wide-text", cell: text((r) => r.result) },
  { key: "signed", title: "Signed", priority: 2, sort: (r) => Number(r.signed), cell: text((r) => (r.signed ? "yes" : "no")) },
];

function audit(signal) {
  const lines = h("select", { "aria-label": "How many" }, ...[50, 200, 1000].map((n) => h("option", { value: n }, `Last ${n}`)));
  const said = h("p", { role: "status" });
  const verify = button("Check signatures", "verify-audit", async () => {
    verify.disabled = true;
    put(said, "Checking …");
    try {
      const r = await post("/audit/verify");
      put(said, r.bad ? `${plural(r.bad, "signature")} of ${count(r.good + r.bad)} do not fit: ${r.findings.map((f) => `row ${f.id}: ${f.reason}`).slice(0, 5).join("; ")}` : `${plural(r.good, "signature")} in ${plural(r.rows, "row")} checked; all fit.`);
      attr(said, "class", r.bad ? "trouble" : "soft");
    } catch (error) {
      put(said, "");
      failed(error, "The check");
    }
    verify.disabled = false;
  });
  const table = new Table({ name: "audit", caption: "Audit log", columns: AUDIT, key: (r) => String(r.id), sort: "-at", empty: () => empty("Nothing was asked of this node yet.") });
  signal.addEventListener("abort", table.end);
  const el = section("audit", "Audit log", signal, async (place) => {
    table.update(await get(`/audit?lines=${lines.value}`, signal));
    if (!table.el.isConnected) place.replaceChildren(said, table.el);
  }, lines, button("Read again", "reload-audit", () => el.load()), verify);
  lines.addEventListener("change", () => el.load());
  return el;
}

// ---- versions and data

function about(signal) {
  const up = h("dd");
  const el = section("about", "This daemon", signal, async (place) => {
    const [info, miners] = await Promise.all([get("/info", signal), get("/miners/available", signal)]);
    let kept = null;
    try {
      kept = await get("/history/status", signal);
    } catch (error) {
      if (!error.missing) throw error;
    }
    place.replaceChildren(h("dl.facts", null, fact("Version", info.version), h("div", null, h("dt", null, "Up for"), up),
      fact("API", state.node?.api ?? NONE), fact("Database", bytes(kept?.databaseBytes)), fact("History", kept ? (kept.enabled ? `kept for ${plural(kept.retentionDays, "day")}` : "switched off") : "not available"),
      fact("Readings kept", count(kept?.samples)), fact("Readings lost", count(kept?.droppedSamples))),
    h("h3", null, "Miner programs on this machine"),
    h("ul.list", null, ...miners.map((m) => h("li", { "data-id": m.name }, badge(m.installed ? "done" : "idle", m.installed ? "found" : "not found"), h("div.text", null, h("strong", null, m.description || m.name), m.version ? ` ${m.version}` : "", m.path ? h("div.hint.mono", null, m.path) : null)))));
  }, button("Check this node", "doctor", () => doctor()));
  const checks = h("ul.list", { "aria-live": "polite", "data-card": "doctor" });
  el.append(checks);
  async function doctor() {
    try {
      const { checks: found } = await post("/doctor");
      keyed(checks, found, (c) => c.name, (c) => h("li", null, badge(c.ok ? "done" : "warning"), h("div.text", null, h("strong"), " ", h("span"))), (li, c) => {
        setBadge(li.firstChild, c.ok ? "done" : "warning", c.ok ? "good" : "look here");
        put(li.lastChild.firstChild, c.name);
        put(li.lastChild.lastChild, c.detail);
      });
    } catch (error) {
      failed(error);
    }
  }
  const tick = () => put(up, duration(state.node?.uptime));
  subscribe(["node"], tick, signal);
  tick();
  return el;
}

export function mount(root, { params, signal }) {
  const parts = [token(signal), sessions(signal), policy(signal), alerts(signal), about(signal)];
  const log = audit(signal);
  const all = [...parts, log];
  root.append(h("h1", null, title), h("nav.row", { "aria-label": "Settings" }, ...all.map((el) => h("a.button.small", { href: link("settings", el.dataset.card) }, el.querySelector("h2").textContent))),
    h("div.masonry", null, ...parts), log);
  const wanted = all.find((el) => el.dataset.card === params[0]);
  if (wanted) requestAnimationFrame(() => wanted.scrollIntoView());
}
