// This node, its peers, who wants to pair, and the invites.
import { del, get, part, post, put as putJson } from "./api.js";
import { age, ageText } from "./ages.js";
import { badge, setBadge } from "./badge.js";
import { confirm, form, open } from "./dialog.js";
import { attr, button, copyButton, h, keyed, name, put, show } from "./dom.js";
import { empty, trouble } from "./empty.js";
import { count, moment, NONE, ping, plural, span } from "./format.js";
import { link } from "./router.js";
import { dropPeer, now, state, subscribe, takePeer } from "./store.js";
import { Table } from "./table.js";
import { done, failed } from "./toast.js";

export const title = "Nodes";
const isRequest = (peer) => peer.state === "pairing-request";
const isRig = (peer) => state.rigs.has(peer.id);

// ---- this node

function nodeCard() {
  const heading = h("h2", { id: "this-node" }, "This node");
  const facts = h("dl.facts");
  const el = h("section.panel", { "aria-labelledby": "this-node", "data-card": "node" }, heading, facts);
  const row = (key, what, wide) => {
    const dd = h("dd", { "data-figure": key });
    facts.append(h("div", { class: wide ? "wide" : null }, h("dt", null, what), dd));
    return dd;
  };
  const cells = {
    name: row("name", "Name"), role: row("role", "Role"), peers: row("peers", "Peers"), online: row("online", "Online"),
    listen: row("listen", "Listens on"), version: row("version", "Version"), id: row("id", "Id", true), fingerprint: row("fingerprint", "Fingerprint", true),
  };
  const copied = (cell, what) => {
    const text = h("span.mono");
    cell.append(text, " ", copyButton(() => text.textContent, what));
    return text;
  };
  const id = copied(cells.id, "id");
  const fingerprint = copied(cells.fingerprint, "fingerprint");
  return {
    el,
    update() {
      const { node } = state;
      if (!node) return;
      const { identity } = node;
      put(cells.name, identity?.name ?? "no identity yet: miner-cli node init --name NAME");
      put(cells.role, identity?.role ?? NONE);
      put(id, identity?.id ?? NONE);
      put(fingerprint, identity?.fingerprint ?? NONE);
      const peers = [...state.peers.values()].filter((p) => !isRequest(p));
      put(cells.peers, count(peers.length));
      put(cells.online, count(peers.filter((p) => p.connected).length));
      put(cells.listen, node.listen ?? "nothing");
      put(cells.version, node.version);
    },
  };
}

// ---- peers

async function pingPeer(peer) {
  try {
    const { pingMs } = await post(`/peers/${part(peer.id)}/ping`);
    takePeer({ ...(state.peers.get(peer.id) ?? peer), pingMs });
    done(`${peer.name} answered in ${ping(pingMs)}`);
  } catch (error) {
    failed(error, peer.name);
  }
}

async function removePeer(peer) {
  const rig = isRig(peer) ? ["Its miners go on as they are, but nothing here will show or steer them. To come back it has to pair again."] : [];
  const ok = await confirm(`Remove ${peer.name}?`, [["This node forgets ", { name: peer.name }, ` (${peer.address ?? "no address"}).`], ...rig], `Remove ${peer.name}`);
  if (!ok) return;
  try {
    await del(`/peers/${part(peer.id)}`);
    dropPeer(peer.id);
    done(`${peer.name} was removed`);
  } catch (error) {
    failed(error, peer.name);
  }
}

function editLabels(peer) {
  const value = Object.entries(peer.labels).map(([key, text]) => `${key}=${text}`).join("\n");
  return form("labels", `Labels of ${peer.name}`, {
    intro: ["Labels sort rigs into groups, for filters here and for ", h("code", null, "--label"), " on the command line. They stay on this node."],
    fields: [{ name: "labels", label: "One a line, like site=garage", rows: 6, value, hint: "At most 16. Keys of a-z, 0-9, . _ and -." }],
    action: "Save labels",
    async send({ labels }) {
      const pairs = labels.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
        const at = line.indexOf("=");
        if (at < 1) throw Object.assign(new Error(`labels: "${line}" is not key=value`), { hint: "" });
        return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
      });
      takePeer(await putJson(`/peers/${part(peer.id)}/labels`, Object.fromEntries(pairs)));
      done(`The labels of ${peer.name} are saved`);
    },
  });
}

// The same for a screen without room.
async function menu(peer) {
  const act = await open("peer", peer.name, (close) => [
    h("p.soft", null, `${peer.address ?? "no address"}, last seen `, ageText(peer.lastSeen)),
    h("div.stack", null, button("Ping", "ping", () => close(pingPeer)), isRig(peer) ? h("a.button", { href: link("rigs", peer.id), onclick: () => close() }, "View stats") : null,
      button("Labels", "labels", () => close(editLabels)), button("Remove", "remove", () => close(removePeer)), button("Cancel", "cancel", () => close())),
  ]);
  act?.(peer);
}

function addPeer() {
  return form("add-peer", "Add a peer", {
    intro: ["For a node that this one can reach. It has to approve this node before anything is shown or steered, unless you have an invite of it."],
    fields: [
      { name: "address", label: "Address", placeholder: "192.168.1.100:9091", required: true },
      { name: "name", label: "Name", placeholder: "rig-alpha", hint: "Left out, its own name is taken." },
      { name: "invite", label: "Invite", hint: "Optional: a code that miner-cli node invite printed there." },
    ],
    action: "Add peer",
    async send({ address, name: given, invite }) {
      const peer = await post("/peers", { address, name: given || null, invite: invite || null });
      takePeer(peer);
      setTimeout(() => showAdded(peer));
    },
  });
}

function showAdded(peer) {
  if (peer.state !== "awaiting-approval") return done(`${peer.name} was added`);
  return open("added", `${peer.name} has to approve`, (close) => [
    h("p", null, name(peer.name, "strong"), " was reached and shows this fingerprint. Compare it with what ", h("code", null, "miner-cli node info"), " prints there:"),
    h("p.fingerprint", null, peer.fingerprint),
    h("p", null, "Then approve this node there:"),
    h("p.fingerprint", null, `miner-cli peer approve ${state.node?.identity?.id ?? ""}`),
    h("div.actions", null, button("Close", "close", () => close())),
  ]);
}

const COLUMNS = [
  { key: "name", title: "Name", sort: (p) => p.name, cell(td, p) {
    if (!td.firstElementChild) td.append(h("div.stack.tight", null, h("span"), badge(p.state)));
    const [who, mark] = td.firstElementChild.children;
    const wanted = isRig(p) ? "A" : "BDI";
    if (who.firstElementChild?.tagName !== wanted) who.replaceChildren(wanted === "A" ? h("a.name", { href: link("rigs", p.id) }) : name(""));
    put(who.firstElementChild, p.name);
    setBadge(mark, p.state);
    attr(td, "title", p.reason);
  } },
  { key: "address", title: "Address", priority: 2, sort: (p) => p.address, cell: (td, p) => put(td, p.address ?? NONE) },
  { key: "role", title: "Role", priority: 2, sort: (p) => p.role, cell: (td, p) => put(td, p.role ?? NONE) },
  { key: "labels", title: "Labels", priority: 4, sort: (p) => Object.values(p.labels).join(" "), cell: (td, p) => keyed(td, Object.entries(p.labels), ([k]) => k, () => h("span.label"), (el, [k, v]) => put(el, `${k}=${v}`)) },
  { key: "ping", title: "Ping", number: true, sort: (p) => p.pingMs, cell: (td, p) => put(td, ping(p.pingMs)) },
  { key: "score", title: "Score", number: true, priority: 3, label: "How reliably it answers, up to 100", sort: (p) => p.score, cell: (td, p) => put(td, count(p.score)) },
  { key: "seen", title: "Last seen", number: true, priority: 2, sort: (p) => (p.lastSeen ? Date.parse(p.lastSeen) : null), cell: (td, p) => age(td, p.lastSeen) },
  { key: "actions", title: "", label: "Actions", width: "doing", cell(td, p) {
    if (!td.firstElementChild) {
      const peer = () => state.peers.get(td.parentElement.dataset.id);
      td.append(h("div.actions", null,
        button("Ping", "ping", () => pingPeer(peer()), { class: "small quiet only-wide" }),
        h("a.button.small.quiet.only-wide", { "data-action": "stats" }, "Stats"),
        button("Labels", "labels", () => editLabels(peer()), { class: "small quiet only-wide" }),
        button("Remove", "remove", () => removePeer(peer()), { class: "small quiet only-wide" }),
        button("⋯", "peer-menu", () => menu(peer()), { class: "small only-narrow" })));
    }
    const [pinged, stats, labels, removed, more] = td.firstElementChild.children;
    attr(more, "aria-label", `What to do with ${p.name}`);
    attr(pinged, "aria-label", `Ping ${p.name}`);
    attr(stats, "aria-label", `View stats of ${p.name}`);
    attr(stats, "href", link("rigs", p.id));
    show(stats, isRig(p));
    attr(labels, "aria-label", `Labels of ${p.name}`);
    attr(removed, "aria-label", `Remove ${p.name}`);
  } },
];

// ---- who wants to pair

function compare(peer) {
  return open("approve", `Let ${peer.name} in?`, (close) => {
    const answer = (verb, word, value) => button(word, verb, async () => {
      try {
        const result = await post(`/peers/${part(peer.id)}/${verb}`);
        if (verb === "approve") takePeer(result);
        else dropPeer(peer.id);
        close(value);
        done(`${peer.name} was ${verb === "approve" ? "approved" : "rejected"}`);
      } catch (error) {
        failed(error, peer.name);
      }
    }, { class: verb === "approve" ? "primary" : null });
    return [
      h("p", null, name(peer.name, "strong"), ` asks from ${peer.address ?? "an unknown address"} to be paired${peer.role ? ` as ${peer.role}` : ""}. On that machine `, h("code", null, "miner-cli node info"), " must print exactly this fingerprint:"),
      h("p.fingerprint", { "data-figure": "fingerprint" }, peer.fingerprint),
      h("p.soft", null, "If it differs, somebody else is asking: reject it. A controller that is let in may start and stop miners here."),
      h("div.actions", null, button("Cancel", "cancel", () => close()), answer("reject", "Reject", false), answer("approve", "It is the same: approve", true)),
    ];
  });
}

function requestItem(peer) {
  return h("li", { "data-id": peer.id }, badge(peer.state), h("div.text", null, name(peer.name, "strong"), ` from ${peer.address ?? "an unknown address"}`),
    button("Compare and approve …", "compare", () => compare(state.peers.get(peer.id) ?? peer), { class: "small primary", "aria-label": `Compare and approve ${peer.name}` }));
}

// ---- invites

function invites(signal) {
  const list = h("ul.list", { "data-table": "invites" });
  const said = h("div");
  const el = h("section.panel", { "aria-labelledby": "invites", "data-card": "invites" },
    h("div.head", null, h("h2", { id: "invites" }, "Invites"), button("Make an invite …", "invite", make)), said, list);

  async function load() {
    try {
      const all = await get("/node/invites", signal);
      keyed(list, all, (i) => i.id, item);
      said.replaceChildren(...(all.length ? [] : [h("p.soft", null, "None is open. A rig that joins with an invite needs no approval.")]));
    } catch (error) {
      if (!signal.aborted) said.replaceChildren(trouble(error, "invites"));
    }
  }

  function item(invite) {
    const left = Date.parse(invite.expiresAt) - now();
    return h("li", { "data-id": invite.id }, h("span.mono", null, invite.id), h("div.text", null, `good ${invite.uses === 1 ? "once" : `${invite.uses} times`}, ends in ${span(left)} (${moment(invite.expiresAt)})`),
      button("Revoke", "revoke", () => revoke(invite), { class: "small", "aria-label": `Revoke invite ${invite.id}` }));
  }

  async function revoke(invite) {
    if (!(await confirm("Revoke this invite?", [["Nobody can join with invite ", { name: invite.id }, " any more. Nodes that joined with it stay."]], `Revoke ${invite.id}`))) return;
    try {
      await del(`/node/invites/${part(invite.id)}`);
      done(`Invite ${invite.id} was revoked`);
    } catch (error) {
      failed(error);
    }
    load();
  }

  async function make() {
    const made = await form("invite", "Make an invite", {
      intro: ["Whoever has the code may join this node until it is used up or has ended."],
      fields: [
        { name: "uses", label: "How many nodes may join with it", type: "number", min: 1, value: "1" },
        { name: "expires", path: "expiresSeconds", label: "It ends after", value: "86400", options: [["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"], ["2592000", "30 days"]] },
      ],
      action: "Make it",
      send: ({ uses, expires }) => post("/node/invites", { uses: Number(uses), expiresSeconds: Number(expires) }),
    });
    if (!made) return;
    load();
    const address = (state.node?.listen ?? "ADDRESS:9091").replace(/^(0\.0\.0\.0|\[::\]|):/, "ADDRESS:");
    await open("invite-made", "The invite", (close) => [
      h("p", null, "The code is shown only now. On the rig run:"),
      h("p.fingerprint", { "data-figure": "invite-code" }, `miner-cli node join ${address} ${made.done.code}`),
      h("p.soft", null, "ADDRESS is where the rig reaches this machine."),
      h("div.actions", null, copyButton(made.done.code, "the code"), button("Close", "close", () => close())),
    ]);
  }

  load();
  subscribe(["peers"], () => load(), signal);
  return el;
}

// ---- the page

export function mount(root, { signal }) {
  const card = nodeCard();
  const requests = h("ul.list", { "data-table": "requests" });
  const asking = h("section.panel", { "aria-labelledby": "asking", hidden: true, "data-card": "requests" }, h("h2", { id: "asking" }, "They want to pair"), requests);
  const search = h("input", { type: "search", placeholder: "Name, address, label", "aria-label": "Filter peers" });
  const number = h("span.soft", { role: "status" });
  const table = new Table({
    name: "peers", caption: "Peers", columns: COLUMNS, key: (p) => p.id, sort: "name",
    decorate: (tr, p) => attr(tr, "data-state", p.state),
    empty: () => (state.peers.size ? empty("No peer fits the filter.") : empty("No peers yet.", "Make an invite and join with it on the rig, or add a peer by its address.")),
  });
  signal.addEventListener("abort", table.end);
  root.append(h("h1", null, title), card.el, asking,
    h("section.panel.flush", { "aria-labelledby": "peers", "data-card": "peers" },
      h("div.head", null, h("h2", { id: "peers" }, "Peers"), number, search, button("Add Peer …", "add-peer", addPeer, { class: "primary" })), table.el),
    invites(signal));

  function refresh() {
    if (!state.at) return;
    card.update();
    const all = [...state.peers.values()];
    const waiting = all.filter(isRequest);
    keyed(requests, waiting, (p) => p.id, requestItem);
    show(asking, waiting.length > 0);
    const wanted = search.value.trim().toLowerCase();
    const fits = (p) => [p.name, p.address, p.id, p.role, ...Object.entries(p.labels).map(([k, v]) => `${k}=${v}`)].join(" ").toLowerCase().includes(wanted);
    const rows = all.filter((p) => !isRequest(p) && (!wanted || fits(p)));
    table.update(rows);
    put(number, plural(rows.length, "peer"));
  }

  search.addEventListener("input", refresh);
  subscribe(["peers", "node", "rigs"], refresh, signal);
  refresh();
}
