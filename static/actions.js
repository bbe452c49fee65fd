// What can be done to rigs, one or many: asked first where hashing stops, with a line and a result for each rig.
import { del, each, get, part, post, words } from "./api.js";
import { badge, setBadge } from "./badge.js";
import { confirm, form, open } from "./dialog.js";
import { button, h, name, put, show } from "./dom.js";
import { plural } from "./format.js";
import { state } from "./store.js";
import { done, failed } from "./toast.js";

const AT_ONCE = 4;
const NAMED = 6;

// ---- the calls; this node's own miners have other addresses than a rig's

const remote = (rig, verb, body) => post(`/remote/${part(rig.id)}/${verb}`, body);

async function ownMiners(rig, miner) {
  const names = miner ? [miner] : rig.miners.map((m) => m.name);
  for (const one of names) await del(`/miners/${part(one)}`);
  return { miners: names };
}

async function ownRestart(rig, miner) {
  const miners = rig.miners.filter((m) => (miner ? m.name === miner : m.profileId));
  for (const one of miners) {
    if (!one.profileId) throw new Error(`${one.name} was started without a profile, so it cannot be started again`);
    await del(`/miners/${part(one.name)}`);
    await post(`/profiles/${part(one.profileId)}/start`);
  }
  return { miners: miners.map((m) => m.name) };
}

const calls = {
  start: (rig, profileId) => (rig.own ? post(`/profiles/${part(profileId)}/start`) : remote(rig, "start", { profileId })),
  stop: (rig, minerName) => (rig.own ? ownMiners(rig, minerName) : remote(rig, "stop", { minerName })),
  restart: (rig, minerName) => (rig.own ? ownRestart(rig, minerName) : remote(rig, "restart", { minerName })),
  deploy: (rig, profileId, dryRun) => remote(rig, "deploy", dryRun ? { profileId, dryRun } : { profileId }),
};

// ---- a line for each rig

function resultList(rigs) {
  const lines = new Map();
  const el = h("ul.list.scroll", { tabindex: "0", "aria-label": "Results" });
  for (const rig of rigs) {
    const text = h("span.text");
    const mark = badge("waiting");
    const li = h("li", { "data-id": rig.id }, mark, h("div", null, name(rig.name, "strong"), " ", text));
    lines.set(rig.id, { mark, text, li });
    el.append(li);
  }
  return {
    el,
    set(rig, status, words, text = "") {
      const line = lines.get(rig.id);
      setBadge(line.mark, status, words);
      line.li.dataset.result = status;
      put(line.text, text);
    },
  };
}

// Runs `task(rig)`, which gives the text of its line, over all and keeps count.
async function run(rigs, list, status, task, stopped = () => false) {
  const counts = { good: [], bad: [] };
  const tell = () => put(status, `${counts.good.length} of ${plural(rigs.length, "rig")} done${counts.bad.length ? `, ${counts.bad.length} failed` : ""}`);
  tell();
  await each(rigs, AT_ONCE, async (rig) => {
    if (stopped()) return list.set(rig, "waiting", "not done");
    list.set(rig, "working", "working");
    try {
      const [word, text] = await task(rig);
      list.set(rig, "done", word, text);
      counts.good.push(rig);
    } catch (error) {
      list.set(rig, error.status === 403 ? "refused" : "failed", error.status === 403 ? "refused" : "failed", words(error));
      counts.bad.push(rig);
    }
    tell();
  });
  return counts;
}

// One rig's result is a toast; those of many stay in a dialog until it is closed.
async function carryOut(verb, rigs, task) {
  if (rigs.length === 1) {
    try {
      const [word, text] = await task(rigs[0]);
      done(`${rigs[0].name}: ${word} ${text}`);
    } catch (error) {
      failed(error, rigs[0].name);
    }
    return;
  }
  await open("results", `${verb} on ${plural(rigs.length, "rig")}`, (close, dialog) => {
    let stopped = false;
    const list = resultList(rigs);
    const status = h("p", { role: "status" });
    const end = button("Stop here", "stop-here", () => {
      if (end.dataset.action === "close") return close();
      stopped = true;
    });
    run(rigs, list, status, task, () => stopped).then(() => {
      put(end, "Close");
      end.dataset.action = "close";
      dialog.dataset.finished = "true";
    });
    dialog.addEventListener("close", () => (stopped = true));
    return [status, list.el, h("div.actions", null, end)];
  }, true);
}

const inWords = (rigs) => {
  const parts = rigs.slice(0, NAMED).flatMap((rig, i) => [i ? ", " : "", { name: rig.name }]);
  return rigs.length > NAMED ? [...parts, ` and ${rigs.length - NAMED} more`] : parts;
};

// ---- start, stop, restart

const listed = (answer) => (answer?.miners?.length ? answer.miners.join(", ") : "nothing was running");

export async function stop(rigs, miner = null) {
  const what = miner ? [{ name: miner }, " on "] : [rigs.length === 1 ? "Every miner on " : "Every miner on these rigs: "];
  const ok = await confirm(miner ? "Stop this miner?" : `Stop ${plural(rigs.length, "rig")}?`,
    [[...what, ...inWords(rigs), " stops hashing until someone starts it again."]], miner ? `Stop ${miner}` : `Stop ${plural(rigs.length, "rig")}`);
  if (ok) await carryOut("Stop", rigs, async (rig) => ["stopped", listed(await calls.stop(rig, miner ?? undefined))]);
}

export async function restart(rigs, miner = null) {
  const what = miner ? [{ name: miner }, " on "] : ["The miners on "];
  const ok = await confirm(miner ? "Restart this miner?" : `Restart ${plural(rigs.length, "rig")}?`,
    [[...what, ...inWords(rigs), miner ? " stops hashing for a moment and begins again." : " stop hashing for a moment and begin again."]], miner ? `Restart ${miner}` : `Restart ${plural(rigs.length, "rig")}`);
  if (ok) await carryOut("Restart", rigs, async (rig) => ["restarted", listed(await calls.restart(rig, miner ?? undefined))]);
}

async function profileOptions() {
  const profiles = await get("/profiles");
  if (!profiles.length) {
    failed("There is no profile yet. Make one on the page Profiles.");
    return null;
  }
  return profiles.map((p) => [p.id, `${p.name} (${p.minerType})`]);
}

export async function start(rigs, profileId = null) {
  let options;
  try {
    options = await profileOptions();
  } catch (error) {
    return failed(error);
  }
  if (!options) return;
  const chosen = await form("start", `Start on ${rigs.length === 1 ? rigs[0].name : plural(rigs.length, "rig")}`, {
    intro: ["The profile is copied to each rig and its miner started."],
    fields: [{ name: "profileId", label: "Profile", options, value: profileId }],
    action: "Start",
    send: (values) => values.profileId,
  });
  if (!chosen) return;
  await carryOut("Start", rigs, async (rig) => {
    const answer = await calls.start(rig, chosen.done);
    return ["started", answer.minerName ?? answer.name];
  });
}

// ---- deploy: first what it would change, then the real one

const DRY = { new: "would be new there", changed: "would change", same: "is the same already" };

export async function deploy(rigs, profileId = null) {
  const able = rigs.filter((rig) => !rig.own);
  if (!able.length) return failed("This node has its own profiles already; there is nothing to deploy.");
  let options;
  try {
    options = await profileOptions();
  } catch (error) {
    return failed(error);
  }
  if (!options) return;
  await open("deploy", `Deploy to ${able.length === 1 ? able[0].name : plural(able.length, "rig")}`, (close, dialog) => {
    const list = resultList(able);
    const status = h("p", { role: "status" }, "The dry run asks each rig what would change. It changes nothing.");
    const profile = h("select", { id: "deploy-profile", name: "profileId" }, ...options.map(([value, text]) => h("option", { value, selected: value === profileId }, text)));
    const dry = button("Dry run", "dry-run", () => tryIt(), { class: "primary" });
    const real = button("Deploy", "deploy", () => doIt(), { class: "primary", hidden: true });
    const end = button("Close", "close", () => close());
    let ready = [];

    async function tryIt() {
      dry.disabled = true;
      const counts = await run(able, list, status, async (rig) => {
        const { status: found, changes = [] } = await calls.deploy(rig, profile.value, true);
        return [found, changes.length ? changes.join("; ") : DRY[found] ?? ""];
      });
      ready = counts.good;
      dialog.dataset.dry = "true";
      put(status, `Nothing was changed yet. ${plural(ready.length, "rig")} would take it${counts.bad.length ? `, ${counts.bad.length} would not` : ""}.`);
      put(real, `Deploy to ${plural(ready.length, "rig")}`);
      show(real, ready.length > 0);
      show(dry, ready.length === 0);
      dry.disabled = false;
    }

    async function doIt() {
      real.disabled = profile.disabled = true;
      const counts = await run(ready, list, status, async (rig) => {
        await calls.deploy(rig, profile.value, false);
        return ["deployed", ""];
      });
      put(status, `Deployed to ${plural(counts.good.length, "rig")}${counts.bad.length ? `, ${counts.bad.length} failed` : ""}. Miners that run keep their old settings until they are started again.`);
      show(real, false);
      dialog.dataset.finished = "true";
    }

    profile.addEventListener("change", () => {
      show(real, false);
      show(dry, true);
      able.forEach((rig) => list.set(rig, "waiting"));
    });
    return [h("div.field", null, h("label", { for: "deploy-profile" }, "Profile"), profile), status, list.el, h("div.actions", null, end, dry, real)];
  }, true);
}

// ---- which rigs?

export function pickRigs(title, action, chosen = new Set()) {
  return open("pick-rigs", title, (close) => {
    const rigs = [...state.rigs.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    const boxes = rigs.map((rig) => {
      const box = h("input", { type: "checkbox", value: rig.id, checked: chosen.has(rig.id) });
      return { rig, box, el: h("label.row", { "data-id": rig.id }, box, name(rig.name), badge(rig.state)) };
    });
    const shown = () => boxes.filter((b) => !b.el.hidden);
    const go = button(action, "pick", () => close(boxes.filter((b) => b.box.checked).map((b) => b.rig)), { class: "primary" });
    const tell = () => {
      const number = boxes.filter((b) => b.box.checked).length;
      put(go, `${action} ${plural(number, "rig")}`);
      go.disabled = !number;
    };
    const filter = h("input", { type: "search", placeholder: "Filter by name or label", "aria-label": "Filter rigs" });
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      for (const b of boxes) show(b.el, searchText(b.rig).includes(wanted));
    });
    const all = button("All shown", "pick-all", () => {
      const on = shown().some((b) => !b.box.checked);
      shown().forEach((b) => (b.box.checked = on));
      tell();
    });
    const list = h("div.scroll.stack", null, ...boxes.map((b) => b.el));
    list.addEventListener("change", tell);
    tell();
    return [h("div.row", null, filter, all), list, h("div.actions", null, button("Cancel", "cancel", () => close()), go)];
  });
}

// Name, labels, algorithms, pool: what a filter looks through.
export function searchText(rig) {
  const labels = Object.entries(state.peers.get(rig.id)?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const miners = rig.miners.map((m) => `${m.type} ${m.algorithm ?? ""} ${m.profileId ?? ""} ${m.pool?.url ?? ""}`);
  return [rig.name, rig.id, rig.state, ...labels, ...miners].join(" ").toLowerCase();
}
