// What the page knows, kept up to date by one stream. Pages read it and are told, once a frame, what has changed.
import { get, query, url } from "./api.js";

// A page that heard nothing for this long has lost the daemon: it says something every 10 s.
const SILENCE = 15_000;
const RETRY = [500, 1000, 2000, 4000, 8000, 10_000];
// Who looks at another tab for a minute leaves the connection to others: a browser has six to a host.
const UNSEEN = 60_000;
const EVENTS = 200;

export const state = {
  // connecting, live, lost, missing (this daemon has no /live), bare (it has no identity), asleep, off
  link: "off",
  node: null,
  peers: new Map(),
  rigs: new Map(),
  totals: null,
  alerts: [],
  events: [],
  // The whole report of the rig that is being looked at.
  report: null,
  // When the daemon last spoke, by its clock and by ours.
  at: null,
  heard: 0,
};

let skew = 0;
// The daemon's time: ages must not depend on how this machine's clock is set.
export const now = () => Date.now() - skew;

// ---- who wants to know

const listeners = new Set();
let changed = new Set();
let changedRigs = new Set();
let frame = 0;

// `fn(keys, rigIds)` after anything of `keys` changed; ends with `signal`.
export function subscribe(keys, fn, signal) {
  const listener = { keys, fn };
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
}

function note(...keys) {
  for (const key of keys) changed.add(key);
  frame ||= requestAnimationFrame(tell);
}

function tell() {
  const [keys, rigs] = [changed, changedRigs];
  [changed, changedRigs, frame] = [new Set(), new Set(), 0];
  performance.mark("update-begin");
  for (const { keys: wanted, fn } of [...listeners]) {
    if (wanted.some((key) => keys.has(key))) fn(keys, rigs);
  }
  performance.mark("update-end");
}

// ---- the stream

let stream = null;
let silence = 0;
let retry = 0;
let tries = 0;
let unseen = 0;
let watched = null;
let wanted = false;
let onRefused = () => {};

export function start(refused) {
  onRefused = refused;
  wanted = true;
  open();
  loadEvents();
}

export function stop() {
  wanted = false;
  close();
  Object.assign(state, {
    link: "off", node: null, peers: new Map(), rigs: new Map(), totals: null, alerts: [], events: [], report: null, at: null,
  });
  note("link", "node", "peers", "rigs", "totals", "alerts", "events", "report");
}

// The rig whose whole report is wanted; null for none.
export function watch(id) {
  if (watched === id) return;
  watched = id;
  state.report = null;
  if (wanted) open();
}

function close() {
  stream?.close();
  stream = null;
  clearTimeout(silence);
  clearTimeout(retry);
}

function setLink(link) {
  if (state.link === link) return;
  state.link = link;
  note("link");
}

function open() {
  close();
  if (state.link !== "live") setLink(state.heard ? "lost" : "connecting");
  stream = new EventSource(url(`/live${query({ rig: watched })}`));
  stream.addEventListener("all", (e) => hear(e, true));
  stream.addEventListener("change", (e) => hear(e, false));
  stream.addEventListener("event", (e) => hearEvent(JSON.parse(e.data)));
  stream.addEventListener("end", lost);
  stream.addEventListener("error", lost);
  listen();
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE);
}

async function lost() {
  close();
  if (!wanted) return;
  // A stream that never spoke may have been refused; the API says why, the stream cannot.
  let link = "lost";
  try {
    const { loggedIn } = await get("/session");
    if (!loggedIn) return onRefused();
    if (!state.heard) link = (await get("/node/info")).hasIdentity ? (tries > 0 ? "missing" : "lost") : "bare";
  } catch {
    // It does not answer at all.
  }
  if (!wanted || stream) return;
  setLink(link);
  retry = setTimeout(open, RETRY[Math.min(tries++, RETRY.length - 1)]);
}

addEventListener("online", () => wanted && state.link === "lost" && open());
document.addEventListener("visibilitychange", () => {
  clearTimeout(unseen);
  if (!wanted) return;
  if (document.hidden) {
    unseen = setTimeout(() => {
      close();
      setLink("asleep");
    }, UNSEEN);
  } else if (!stream || state.link !== "live") {
    tries = 0;
    open();
  }
});

// ---- what it says

function hear(message, whole) {
  const data = JSON.parse(message.data);
  const before = state.heard;
  state.heard = Date.now();
  state.at = data.at;
  skew = Date.now() - Date.parse(data.at);
  tries = 0;
  listen();
  setLink("live");
  if (whole) takeAll(data, before);
  else takeChange(data);
  note("at");
}

function takeAll(data, before) {
  state.peers = new Map(data.peers.map((peer) => [peer.id, peer]));
  state.rigs = new Map(Object.entries(data.rigs));
  for (const id of state.rigs.keys()) changedRigs.add(id);
  for (const key of ["node", "totals", "alerts"]) if (data[key]) state[key] = data[key];
  if (data.rig) state.report = data.rig;
  note("node", "peers", "rigs", "totals", "alerts", "report");
  // What happened while the stream was away.
  if (before) loadEvents();
}

function takeChange(data) {
  for (const id of data.gone ?? []) {
    if (state.peers.delete(id)) note("peers");
    if (state.rigs.delete(id)) {
      changedRigs.add(id);
      note("rigs");
    }
  }
  for (const peer of data.peers ?? []) state.peers.set(peer.id, peer);
  if (data.peers) note("peers");
  for (const [id, rig] of Object.entries(data.rigs ?? {})) {
    state.rigs.set(id, rig);
    changedRigs.add(id);
  }
  if (data.rigs) note("rigs");
  for (const key of ["node", "totals", "alerts"]) {
    if (data[key]) {
      state[key] = data[key];
      note(key);
    }
  }
  if (data.rig) {
    state.report = data.rig;
    note("report");
  }
}

function hearEvent(event) {
  if (state.events.some((known) => known.number === event.number)) return;
  state.events.push(event);
  if (state.events.length > EVENTS) state.events.shift();
  note("events");
}

async function loadEvents() {
  try {
    const past = await get(`/events?lines=${EVENTS}`);
    const known = new Map([...past, ...state.events].map((event) => [event.number, event]));
    state.events = [...known.values()].sort((a, b) => a.number - b.number).slice(-EVENTS);
    note("events");
  } catch {
    // The stream's state tells of the trouble already.
  }
}

// What an action has changed shows before the next message does.
export function takePeer(peer) {
  state.peers.set(peer.id, peer);
  note("peers");
}

export function dropPeer(id) {
  state.peers.delete(id);
  state.rigs.delete(id);
  changedRigs.add(id);
  note("peers", "rigs");
}
