// A state is a shape, a colour and a word, never a colour alone.
import { attr, h, put } from "./dom.js";

const STATES = {
  "hashing": ["●", "good"],
  "degraded": ["◐", "warn"],
  "not-hashing": ["◌", "warn"],
  "crash-loop": ["✖", "bad"],
  "unreachable": ["▲", "bad"],
  "failed": ["■", "bad"],
  "idle": ["○", "calm"],
  "stopped": ["○", "calm"],
  "starting": ["◌", "note"],
  "stopping": ["◌", "note"],
  "backoff": ["◌", "warn"],
  "awaiting-approval": ["◇", "note"],
  "pairing-request": ["◇", "note"],
  "connected": ["●", "note"],
  "info": ["●", "calm"],
  "warning": ["◐", "warn"],
  "critical": ["▲", "bad"],
  "done": ["●", "good"],
  "refused": ["■", "bad"],
  "waiting": ["○", "calm"],
  "working": ["◌", "note"],
};

const WORDS = { "pairing-request": "wants to pair", "awaiting-approval": "awaiting approval" };

export const stateWord = (state) => WORDS[state] ?? state;
export const stateColour = (state) => (STATES[state] ?? ["", "calm"])[1];

// Worst first, for sorting.
const ORDER = [
  "crash-loop", "failed", "unreachable", "not-hashing", "backoff", "degraded", "pairing-request", "awaiting-approval",
  "starting", "stopping", "hashing", "connected", "idle", "stopped",
];
export const stateOrder = (state) => {
  const at = ORDER.indexOf(state);
  return at < 0 ? ORDER.length : at;
};

export function badge(state, word) {
  return setBadge(h("span.badge", null, h("span.mark", { "aria-hidden": "true" }), h("span.word")), state, word);
}

export function setBadge(el, state, word = stateWord(state)) {
  const [shape, colour] = STATES[state] ?? ["?", "calm"];
  attr(el, "class", `badge ${colour}`);
  attr(el, "data-state", state);
  put(el.firstChild, shape);
  put(el.lastChild, word);
  return el;
}
