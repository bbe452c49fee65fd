// What the rigs mine: profiles as cards, their form, deploying with a dry run, and which rigs run what.
import { deploy, pickRigs, start } from "./actions.js";
import { del, each, get, part, words } from "./api.js";
import { badge, setBadge } from "./badge.js";
import { confirm, open } from "./dialog.js";
import { attr, button, cls, h, keyed, name, put, show } from "./dom.js";
import { empty, loading, trouble } from "./empty.js";
import { plural } from "./format.js";
import { edit } from "./profileform.js";
import { link } from "./router.js";
import { state, subscribe } from "./store.js";
import { done, failed } from "./toast.js";

export const title = "Profiles";

const runners = (id) => [...state.rigs.values()].filter((rig) => rig.miners.some((m) => m.profileId === id));

// A wallet is long; its ends are what people compare.
const short = (text) => (text && text.length > 28 ? `${text.slice(0, 12)}…${text.slice(-10)}` : text);

function factsOf({ config }) {
  const list = [["Pool", config.pool], ["Further pools", config.pools?.join(", ")], ["Wallet", short(config.wallet), config.wallet], ["Password", config.password ? "set, not shown" : null], ["Algorithm", config.algo], ["Coin", config.coin]];
  const tuned = [
    config.tls && "TLS", config.hugePages !== undefined && `huge pages ${config.hugePages ? "on" : "off"}`, config.threads && plural(config.threads, "thread"),
    config.devices && `GPUs ${config.devices.join(", ")}`, config.intensity && `intensity ${config.intensity}`, config.cliArgs?.length && config.cliArgs.join(" "),
  ].filter(Boolean);
  return [...list, ["Settings", tuned.join(" · ")]].filter(([, value]) => value);
}

// ---- which rigs hold it, and is it the same there?

const SAME = { true: ["done", "the same"], false: ["warning", "differs"], null: ["info", "only there"] };

function drift(profile) {
  return open("drift", `${profile.name} on the rigs`, (close) => {
    const status = h("p", { role: "status" });
    const list = h("ul.list.scroll", { tabindex: "0", "aria-label": "Rigs" });
    const rigs = [...state.rigs.values()].filter((rig) => !rig.own);
    const different = [];
    let stopped = false;
    let asked = 0;
    const tell = () => put(status, `${asked} of ${plural(rigs.length, "rig")} asked${different.length ? `; ${plural(different.length, "rig")} ${different.length === 1 ? "differs" : "differ"}` : ""}.`);
    const again = button("Deploy to those that differ …", "deploy-drifted", () => {
      close();
      deploy(different, profile.id);
    }, { class: "primary", hidden: true });
    const lines = new Map();
    keyed(list, rigs, (rig) => rig.id, (rig) => {
      const li = h("li", { "data-id": rig.id }, badge("waiting"), h("div.text", null, name(rig.name, "strong"), " ", h("span")));
      lines.set(rig.id, li);
      return li;
    });
    const say = (rig, kind, word, text = "") => {
      const li = lines.get(rig.id);
      setBadge(li.firstChild, kind, word);
      put(li.lastChild.lastChild, text);
      li.dataset.result = word;
    };
    tell();
    each(rigs, 4, async (rig) => {
      if (stopped) return;
      const runs = rig.miners.some((m) => m.profileId === profile.id) ? "runs it now" : "";
      try {
        const there = (await get(`/remote/${part(rig.id)}/profiles`)).find((p) => p.id === profile.id);
        if (there) say(rig, ...SAME[there.same], runs);
        else say(rig, "idle", "not there", runs);
        if (there?.same === false) different.push(rig);
      } catch (error) {
        say(rig, "failed", "not known", error.missing ? "this daemon cannot ask rigs for their profiles" : words(error));
      }
      asked++;
      tell();
    }).then(() => show(again, different.length > 0));
    return [status, list, h("div.actions", null, button("Close", "close", () => {
      stopped = true;
      close();
    }), again)];
  }, true);
}

// ---- cards

async function remove(profile, reload) {
  const running = runners(profile.id);
  const more = running.length ? [[`${plural(running.length, "rig")} ${running.length === 1 ? "runs" : "run"} it. Their copies and miners stay as they are.`]] : [];
  if (!(await confirm(`Remove ${profile.name}?`, [["This node forgets the profile ", { name: profile.name }, " with its wallet and password."], ...more], `Remove ${profile.name}`))) return;
  try {
    await del(`/profiles/${part(profile.id)}`);
    done(`${profile.name} was removed`);
  } catch (error) {
    failed(error, profile.name);
  }
  reload();
}

async function many(profile, title, word, act) {
  const rigs = await pickRigs(title, word, new Set(runners(profile.id).map((rig) => rig.id)));
  if (rigs?.length) act(rigs, profile.id);
}

function card(profile, reload) {
  const facts = h("dl.facts", null, ...factsOf(profile).map(([what, text, whole]) => h("div", { class: whole || what === "Settings" || what === "Further pools" ? "wide" : null }, h("dt", null, what), h("dd", { title: whole, class: whole ? "mono" : null }, text))));
  const running = h("p.running");
  const el = h("section.panel.profile", { "data-card": "profile", "data-id": profile.id, "aria-label": profile.name },
    h("div.head", null, h("h2.name", null, profile.name), h("span.label", null, profile.minerType)),
    facts, running,
    h("div.row", null,
      button("Start …", "start-profile", () => many(profile, `Start ${profile.name}`, "Start on", start), { class: "small" }),
      button("Deploy …", "deploy-profile", () => many(profile, `Deploy ${profile.name}`, "Deploy to", deploy), { class: "small" }),
      button("Compare …", "drift", () => drift(profile), { class: "small", title: "Is it the same on the rigs?" }),
      h("span.grow"),
      button("Edit", "edit-profile", () => edit(profile).then((saved) => saved && reload()), { class: "small quiet" }),
      button("Copy", "copy-profile", () => edit({ ...profile, id: "", name: `${profile.name}-2`, config: { ...profile.config, password: undefined } }).then((saved) => saved && reload()), { class: "small quiet" }),
      button("Remove", "remove-profile", () => remove(profile, reload), { class: "small quiet" })));
  el.running = running;
  return el;
}

function setRunning(el, { id }) {
  const rigs = runners(id);
  const key = rigs.map((rig) => rig.name).join("\n");
  if (el.running.dataset.key === key && el.running.firstChild) return;
  el.running.dataset.key = key;
  const named = rigs.slice(0, 5).flatMap((rig, i) => [i ? ", " : "", h("a.name", { href: link("rigs", rig.id) }, rig.name)]);
  el.running.replaceChildren(...(rigs.length
    ? [`Runs on ${plural(rigs.length, "rig")}: `, ...named, rigs.length > 5 ? ` and ${rigs.length - 5} more` : ""]
    : [h("span.soft", null, "Runs on no rig.")]));
  cls(el.running, "idle", !rigs.length);
  attr(el, "data-runs", rigs.length);
}

export function mount(root, { signal }) {
  const cards = h("div.cards.wide", { "data-card": "profiles" });
  const place = h("div", null, loading());
  let profiles = [];
  root.append(h("div.head", null, h("h1", null, title), button("New profile …", "new-profile", () => edit(null).then((saved) => saved && load()), { class: "primary" })), place, cards);

  async function load() {
    try {
      profiles = await get("/profiles", signal);
      place.replaceChildren(...(profiles.length ? [] : [h("div.panel", null, empty("No profile yet.", "A profile says what to mine, with which miner and for whom. Make one with the button above, then start it on your rigs."))]));
      // An edited profile gets a new card.
      keyed(cards, profiles, (p) => JSON.stringify(p), (p) => card(p, load), setRunning);
    } catch (error) {
      if (!signal.aborted) place.replaceChildren(trouble(error, "profiles"));
    }
  }

  subscribe(["rigs"], () => profiles.forEach((p, i) => cards.children[i] && setRunning(cards.children[i], p)), signal);
  load();
}
