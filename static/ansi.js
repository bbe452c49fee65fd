// Colours of a terminal as classes; every other control sequence is left out. What remains is text.
import { h } from "./dom.js";

const SEQUENCE = /\u001b\[([0-9;:]*)([ -/]*[@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

// [{text, classes}] of one line.
export function parse(line) {
  const parts = [];
  let style = {};
  let from = 0;
  const push = (text) => text && parts.push({ text, classes: Object.values(style).filter(Boolean).join(" ") });
  for (const match of line.matchAll(SEQUENCE)) {
    push(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m") style = restyle(style, match[1]);
  }
  push(line.slice(from));
  return parts;
}

export const strip = (line) => line.replace(SEQUENCE, "");

function restyle(style, codes) {
  const next = { ...style };
  const list = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) for (const key of Object.keys(next)) delete next[key];
    else if (code >= 1 && code <= 4) next[code < 3 ? "weight" : `a${code}`] = `a${code}`;
    else if (code === 22) delete next.weight;
    else if (code === 23 || code === 24) delete next[`a${code - 20}`];
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) next.front = `f${code % 10}`;
    else if (code === 39) delete next.front;
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) next.back = `b${code % 10}`;
    else if (code === 49) delete next.back;
    // Colours out of 256 or 16 million: skipped, with their numbers.
    else if (code === 38 || code === 48) i += list[i + 1] === 5 ? 2 : 4;
  }
  return next;
}

// One line as an element; `wanted`, in lower case, is marked.
export function lineOf(line, wanted = "") {
  const el = h("div");
  for (const { text, classes } of parse(line)) {
    for (const [piece, hit] of split(text, wanted)) {
      const kind = [classes, hit && "hit"].filter(Boolean).join(" ");
      el.append(kind ? h("span", { class: kind }, piece) : piece);
    }
  }
  return el;
}

function split(text, wanted) {
  if (!wanted) return [[text, false]];
  const pieces = [];
  const low = text.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0 && low.length === text.length; at = low.indexOf(wanted, from)) {
    if (at > from) pieces.push([text.slice(from, at), false]);
    pieces.push([text.slice(at, at + wanted.length), true]);
    from = at + wanted.length;
  }
  if (from < text.length) pieces.push([text.slice(from), false]);
  return pieces;
}
