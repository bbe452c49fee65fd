// A miner's output: live, or the previous run. Lines arrive in bursts and are added once a frame; only the last ones
// are kept.
import { get, part, query, url, words } from "./api.js";
import { lineOf, strip } from "./ansi.js";
import { cls, h, put } from "./dom.js";

const KEPT = 3000;
const RETRY = 5000;
// This node's own miners have no stream.
const OWN_EVERY = 3000;

export class LogView {
  constructor({ short = false, signal }) {
    Object.assign(this, { lines: [], fresh: [], paused: false, wanted: "", only: false, skipped: 0, dropped: 0 });
    this.box = h("div", { class: short ? "log short" : "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": "Output of the miner" });
    this.status = h("p.hint", { role: "status" });
    this.keep = short ? 200 : KEPT;
    signal.addEventListener("abort", () => this.close());
  }

  close() {
    this.stream?.close();
    this.stream = null;
    this.turn = (this.turn ?? 0) + 1;
    clearTimeout(this.timer);
  }

  say(text) {
    put(this.status, text);
  }

  clear() {
    [this.lines, this.fresh, this.dropped] = [[], [], 0];
    this.box.replaceChildren();
  }

  // rig: {id, own}; previous: the run before, which is not followed.
  async open(rig, miner, { previous = false, lines = 500 } = {}) {
    this.close();
    this.clear();
    const mine = this.turn;
    this.say("Loading …");
    if (!previous && !rig.own) return this.follow(rig, miner, lines);
    const path = rig.own ? `/miners/${part(miner)}/logs` : `/remote/${part(rig.id)}/logs/${part(miner)}`;
    try {
      const all = await get(path + query({ lines: previous ? 10_000 : lines, previous: previous || null }));
      if (mine !== this.turn) return;
      // The same lines again are not worth a repaint.
      if (this.last !== all.join("\n")) {
        this.last = all.join("\n");
        this.clear();
        this.add(all);
      }
      const none = previous ? "There is no previous run." : "It has printed nothing yet.";
      this.say(all.length ? (previous ? `The previous run: ${all.length} lines.` : "Read every few seconds.") : none);
      if (!previous) this.timer = setTimeout(() => mine === this.turn && this.again(rig, miner, lines, mine), OWN_EVERY);
    } catch (error) {
      if (mine === this.turn) this.say(words(error));
    }
  }

  async again(rig, miner, lines, mine) {
    try {
      const all = await get(`/miners/${part(miner)}/logs${query({ lines })}`);
      if (mine !== this.turn) return;
      const from = overlap(this.all ?? this.lines, all);
      this.add(all.slice(from));
      this.all = all;
    } catch (error) {
      if (mine === this.turn) this.say(words(error));
    }
    if (mine === this.turn) this.timer = setTimeout(() => this.again(rig, miner, lines, mine), OWN_EVERY);
  }

  follow(rig, miner, lines) {
    const mine = this.turn;
    const path = `/remote/${part(rig.id)}/logs/${part(miner)}`;
    const stream = new EventSource(url(`${path}/stream${query({ lines })}`));
    this.stream = stream;
    stream.addEventListener("open", () => {
      // After a loss the stream begins again with the last lines.
      this.clear();
      this.say("Live");
    });
    stream.addEventListener("message", (e) => this.add([JSON.parse(e.data)]));
    stream.addEventListener("skipped", (e) => this.add([{ note: `… ${e.data} lines were skipped` }]));
    stream.addEventListener("end", (e) => {
      stream.close();
      const { reason, code } = JSON.parse(e.data);
      this.say(`Ended: ${reason}.${code === "STOPPED" ? "" : " Trying again."}`);
      if (code !== "STOPPED") this.timer = setTimeout(() => mine === this.turn && this.follow(rig, miner, lines), RETRY);
    });
    stream.addEventListener("error", async () => {
      stream.close();
      if (mine !== this.turn) return;
      // The stream cannot say why; a plain question can.
      try {
        await get(`${path}${query({ lines: 1 })}`);
        this.say("The stream broke off. Trying again.");
      } catch (error) {
        this.say(`${words(error)} Trying again.`);
      }
      if (mine === this.turn) this.timer = setTimeout(() => mine === this.turn && this.follow(rig, miner, lines), RETRY);
    });
  }

  // ---- lines

  add(lines) {
    this.fresh.push(...lines);
    if (this.fresh.length > this.keep * 2) {
      this.dropped += this.fresh.length - this.keep;
      this.fresh = this.fresh.slice(-this.keep);
    }
    if (!this.paused) this.frame ||= requestAnimationFrame(() => this.paint());
    else this.say(`Paused; ${this.fresh.length} new lines wait.`);
  }

  paint() {
    this.frame = 0;
    const { box } = this;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const more = this.fresh.splice(0);
    this.lines.push(...more);
    const part = document.createDocumentFragment();
    for (const line of more) {
      const el = this.make(line);
      if (el) part.append(el);
    }
    box.append(part);
    if (this.lines.length > this.keep) this.lines = this.lines.slice(-this.keep);
    while (box.childElementCount > this.keep) box.firstElementChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  make(line) {
    if (line.note) return h("div.mark-line", null, line.note);
    if (this.only && this.wanted && !strip(line).toLowerCase().includes(this.wanted)) return null;
    return lineOf(line, this.wanted);
  }

  redraw() {
    const all = this.lines.splice(0);
    this.box.replaceChildren();
    this.fresh.unshift(...all);
    this.paint();
    this.box.scrollTop = this.box.scrollHeight;
  }

  search(text, only) {
    this.wanted = text.trim().toLowerCase();
    this.only = only;
    this.redraw();
    return this.wanted ? this.lines.filter((line) => !line.note && strip(line).toLowerCase().includes(this.wanted)).length : null;
  }

  pause(on) {
    this.paused = on;
    if (!on) this.paint();
    this.say(on ? "Paused" : "Live");
  }

  wrap(on) {
    cls(this.box, "nowrap", !on);
  }

  text() {
    return this.lines.map((line) => line.note ?? strip(line)).join("\n") + "\n";
  }
}

// How many lines at the start of `next` are the end of `before`.
function overlap(before, next) {
  for (let at = Math.min(before.length, next.length); at > 0; at--) {
    const start = before.length - at;
    if (next[0] === before[start] && next.slice(0, at).every((line, i) => line === before[start + i])) return at;
  }
  return 0;
}
