// A table that sorts, selects, and keeps still: it touches only what changed, waits with a new order while a row is
// hovered or focused, and holds only the rows in view once there are more than 200. It stays a <table> throughout.
import { attr, cls, h, put, show } from "./dom.js";
import { plural } from "./format.js";

const WHOLE = 200;
const SPARE = 12;

// columns: {key, title, label?, number?, sort?(row), cell(td, row, table), priority?, width?}
// options: {name, caption, columns, key(row), sort: "key" or "-key", select?: (row) => label, onsort, onselect, empty,
// decorate?(tr, row)}
export class Table {
  constructor(options) {
    Object.assign(this, { rows: [], shown: [], trs: new Map(), selected: new Set(), units: {} }, options);
    this.sortBy = options.sort ?? options.columns[0].key;
    this.head = h("tr");
    this.body = h("tbody");
    this.table = h("table", { "data-table": options.name },
      h("caption.hidden", null, options.caption), h("thead", null, this.head), this.body);
    this.above = h("tr", { "aria-hidden": "true", class: "space" }, h("td"));
    this.below = this.above.cloneNode(true);
    this.nothing = h("div", { hidden: true });
    this.paused = h("p.hint.paused", { hidden: true }, "Sorting waits while you are in the table.");
    this.el = h("div.table-wrap", null, this.table, this.nothing, this.paused);
    this.buildHead();
    this.watch();
  }

  watch() {
    const settle = () => requestAnimationFrame(() => this.waiting && !this.isHeld() && this.arrange());
    this.body.addEventListener("pointerleave", settle);
    this.body.addEventListener("focusout", settle);
    const scrolled = () => {
      if (this.windowed) this.frame ||= requestAnimationFrame(() => this.fill());
    };
    const end = new AbortController();
    this.end = () => end.abort();
    addEventListener("scroll", scrolled, { passive: true, signal: end.signal });
    addEventListener("resize", () => ((this.rowHeight = 0), scrolled()), { signal: end.signal });
  }

  buildHead() {
    if (this.select) {
      this.all = h("input", { type: "checkbox", "aria-label": "Select all rows shown", "data-action": "select-all" });
      this.all.addEventListener("change", () => this.selectAll(this.all.checked));
      this.head.append(h("th.check", { scope: "col" }, this.all));
    }
    for (const column of this.columns) {
      const title = column.sort
        ? h("button.sort", { type: "button", "data-sort": column.key, title: column.label, onclick: () => this.sortOn(column) }, column.title)
        : column.title || h("span.hidden", null, column.label);
      this.head.append(h("th", { scope: "col", class: classOf(column), "data-col": column.key }, title));
    }
    this.markSort();
  }

  markSort() {
    const [key, down] = this.order();
    for (const th of this.head.children) {
      if (!th.firstElementChild?.matches(".sort")) continue;
      attr(th, "aria-sort", th.dataset.col === key ? (down ? "descending" : "ascending") : null);
    }
  }

  order() {
    const down = this.sortBy.startsWith("-");
    return [down ? this.sortBy.slice(1) : this.sortBy, down];
  }

  sortOn(column) {
    const [key, down] = this.order();
    // Numbers are wanted largest first.
    const turned = key === column.key ? !down : Boolean(column.number);
    this.sortBy = (turned ? "-" : "") + column.key;
    this.markSort();
    this.onsort?.(this.sortBy);
    this.arrange();
  }

  // The rows to be shown, all of them. A row object that is the same as before is taken as unchanged.
  update(rows, force = false) {
    this.rows = rows;
    if (force) for (const tr of this.trs.values()) tr.row = null;
    const keys = new Set();
    for (const row of rows) keys.add(this.key(row));
    for (const id of this.selected) if (!keys.has(id)) this.selected.delete(id);
    if (this.isHeld()) this.hold(keys);
    else this.arrange();
  }

  isHeld() {
    return this.body.matches(":hover") || this.body.contains(document.activeElement);
  }

  // The order stays; what is gone goes, what is new comes last.
  hold(keys) {
    const byKey = new Map(this.rows.map((row) => [this.key(row), row]));
    const kept = this.shown.filter((row) => keys.has(this.key(row))).map((row) => byKey.get(this.key(row)));
    const had = new Set(kept.map((row) => this.key(row)));
    this.shown = [...kept, ...this.rows.filter((row) => !had.has(this.key(row)))];
    this.waiting = this.sorted().some((row, i) => row !== this.shown[i]);
    show(this.paused, this.waiting);
    this.fill();
  }

  sorted() {
    const [key, down] = this.order();
    const column = this.columns.find((c) => c.key === key) ?? this.columns[0];
    const value = column.sort ?? (() => 0);
    const keyed = this.rows.map((row) => [value(row), this.key(row), row]);
    keyed.sort((a, b) => compare(a[0], b[0], down) || (a[1] < b[1] ? -1 : 1));
    return keyed.map((entry) => entry[2]);
  }

  arrange() {
    this.shown = this.sorted();
    this.waiting = false;
    show(this.paused, false);
    this.fill();
  }

  // ---- the rows in view

  fill() {
    this.frame = 0;
    const { shown } = this;
    show(this.table, shown.length > 0);
    show(this.nothing, shown.length === 0);
    if (!shown.length && this.empty) this.nothing.replaceChildren(this.empty());
    this.windowed = shown.length > WHOLE;
    cls(this.table, "windowed", this.windowed);
    attr(this.table, "aria-rowcount", this.windowed ? shown.length + 1 : null);
    for (const column of this.columns) this.units[column.key] = column.unit?.(shown);
    const [from, to] = this.range();
    this.place(from, to);
    if (this.windowed && !this.rowHeight && this.table.offsetHeight) {
      this.rowHeight = this.body.querySelector("tr:not(.space)").offsetHeight;
      return this.fill();
    }
    this.markSelection();
  }

  range() {
    if (!this.windowed) return [0, this.shown.length];
    const height = this.rowHeight || 40;
    const top = this.table.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height) - SPARE);
    const fit = Math.ceil(innerHeight / height) + 2 * SPARE;
    const from = Math.min(first, Math.max(0, this.shown.length - fit));
    return [from, Math.min(this.shown.length, from + fit)];
  }

  place(from, to) {
    const wanted = new Map();
    for (let at = from; at < to; at++) wanted.set(this.key(this.shown[at]), at);
    for (const [id, tr] of this.trs) {
      // A row that has the focus stays where it is.
      if (wanted.has(id) || (this.windowed && tr.contains(document.activeElement) && this.rows.some((r) => this.key(r) === id))) continue;
      tr.remove();
      this.trs.delete(id);
    }
    if (!this.windowed) {
      this.above.remove();
      this.below.remove();
    }
    let before = this.body.firstElementChild;
    if (this.windowed) before = this.spacer(this.above, from, before);
    for (const [id, at] of wanted) {
      const tr = this.trs.get(id) ?? this.make(id);
      if (tr === before) before = before.nextElementSibling;
      else this.body.insertBefore(tr, before);
      this.write(tr, this.shown[at]);
      attr(tr, "aria-rowindex", this.windowed ? at + 2 : null);
    }
    if (this.windowed) {
      this.body.append(this.below);
      this.spacer(this.below, this.shown.length - to, this.below);
    }
  }

  spacer(tr, rows, before) {
    if (tr !== before) this.body.insertBefore(tr, before);
    attr(tr.firstElementChild, "height", rows * (this.rowHeight || 40));
    show(tr, rows > 0);
    return tr.nextElementSibling;
  }

  make(id) {
    const tr = h("tr", { "data-id": id });
    if (this.select) {
      const box = h("input", { type: "checkbox", "data-action": "select" });
      box.addEventListener("change", () => this.pick(id, box.checked));
      tr.append(h("td.check", null, box));
    }
    tr.cellsByKey = this.columns.map((column) => {
      const td = h("td", { class: classOf(column), "data-col": column.key });
      tr.append(td);
      return td;
    });
    this.trs.set(id, tr);
    return tr;
  }

  write(tr, row) {
    const units = this.columns.some((c) => c.unit && tr.units?.[c.key] !== this.units[c.key]);
    if (tr.row === row && !units) return;
    tr.row = row;
    tr.units = { ...this.units };
    this.columns.forEach((column, i) => column.cell(tr.cellsByKey[i], row, this.units[column.key]));
    if (this.select) attr(tr.firstElementChild.firstElementChild, "aria-label", `Select ${this.select(row)}`);
    this.decorate?.(tr, row);
  }

  // ---- selection

  pick(id, on) {
    if (on) this.selected.add(id);
    else this.selected.delete(id);
    this.markSelection();
    this.onselect?.(this.selected);
  }

  selectAll(on) {
    this.selected = new Set(on ? this.shown.map(this.key) : []);
    this.markSelection();
    this.onselect?.(this.selected);
  }

  markSelection() {
    if (!this.select) return;
    for (const [id, tr] of this.trs) {
      const on = this.selected.has(id);
      const box = tr.firstElementChild.firstElementChild;
      if (box.checked !== on) box.checked = on;
      cls(tr, "selected", on);
    }
    const number = this.selected.size;
    this.all.checked = number > 0 && number === this.shown.length;
    this.all.indeterminate = number > 0 && number < this.shown.length;
  }

  say(one) {
    return plural(this.shown.length, one);
  }
}

const classOf = (column) =>
  [column.number && "number", column.priority && `p${column.priority}`, column.width].filter(Boolean).join(" ") || null;

// What is unknown comes last, whichever way the rest is sorted.
function compare(a, b, down) {
  const [noA, noB] = [a === null || a === undefined || a === "", b === null || b === undefined || b === ""];
  if (noA || noB) return noA - noB;
  const order = typeof a === "string" ? collator.compare(a, String(b)) : a - b;
  return down ? -order : order;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

// The plainest cell.
export const text = (fn) => (td, row, unit) => put(td, fn(row, unit));
