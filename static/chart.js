// Lines over time, with gaps as gaps: crosshair by pointer and arrow keys, a legend that reads the values out, a band
// from least to most, and the same as a table.
import { attr, button, cls, freshId, h, put, show, svg } from "./dom.js";
import { clock, clockSeconds, hashrate, moment } from "./format.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [74, 8, 8, 22];
const MINUTE = 60_000;
const STEPS = [15_000, MINUTE, 5 * MINUTE, 15 * MINUTE, 3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000, 86_400_000, 2 * 86_400_000, 5 * 86_400_000, 10 * 86_400_000];
const COLOURS = 8;

// The classes of a series by its place: eight colours, then the same with dashes.
export const seriesClass = (at) => `s${at % COLOURS}${at >= COLOURS ? " dash" : ""}`;

export class Chart {
  // {name, label, size: "low" | "tall", format, signal}
  constructor({ name, label, size, format = hashrate, signal }) {
    Object.assign(this, { label, format, series: [], since: 0, until: 1, cursor: null });
    this.svg = svg("svg", { "aria-hidden": "true" });
    this.time = h("span.time");
    this.legend = h("div.legend", { id: freshId("legend"), "aria-live": "off" });
    this.plot = h("div.plot", { tabindex: "0", role: "group", "aria-label": `${label}. Arrow keys read the values.`, "aria-describedby": this.legend.id }, this.svg);
    this.none = h("p.soft", { hidden: true });
    this.tables = h("div.scroll", { hidden: true, tabindex: "0", role: "region", "aria-label": `${label} as a table` });
    this.toggle = button("Show as table", "chart-table", () => this.showTable(this.tables.hidden), { class: "small quiet", "aria-expanded": "false" });
    this.el = h("figure.chart", { "data-chart": name }, h("div.row", null, this.legend, this.toggle), this.plot, this.none, this.tables);
    if (size) this.el.classList.add(size);
    this.listen(signal);
  }

  listen(signal) {
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.plot);
    signal?.addEventListener("abort", () => observer.disconnect());
    this.plot.addEventListener("pointermove", (e) => {
      const x = e.clientX - this.plot.getBoundingClientRect().left;
      this.point(this.since + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.until - this.since));
    });
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.plot.addEventListener("blur", () => this.point(null));
    this.plot.addEventListener("keydown", (e) => this.key(e));
  }

  key(event) {
    const times = this.times();
    if (!times.length) return;
    const at = this.cursor === null ? times.length : times.indexOf(nearest(times, this.cursor));
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: times.length - 1, PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (event.key === "Escape") this.point(null);
    if (to === undefined) return;
    event.preventDefault();
    attr(this.legend, "aria-live", "polite");
    this.point(times[Math.min(times.length - 1, Math.max(0, to))]);
  }

  times() {
    return this.series.find((s) => s.points.length)?.points.map((p) => p.at) ?? [];
  }

  // series: [{label, points: [{at, value, min?, max?}]}]; null is a gap.
  update({ series, since, until }) {
    Object.assign(this, { series, since, until });
    const known = series.some((s) => s.points.some((p) => p.value !== null));
    put(this.none, known ? "" : "Nothing is known of this time.");
    show(this.none, !known);
    this.draw();
    if (!this.tables.hidden) this.showTable(true);
  }

  draw() {
    const box = this.plot.getBoundingClientRect();
    [this.width, this.height] = [Math.max(160, box.width), Math.max(80, box.height)];
    attr(this.svg, "viewBox", `0 0 ${this.width} ${this.height}`);
    const values = this.series.flatMap((s) => s.points.flatMap((p) => [p.value, p.max ?? null])).filter((v) => v !== null);
    this.top = nice(values.length ? Math.max(...values) : 1);
    this.svg.replaceChildren(...this.gaps(), ...this.axes(), ...this.series.flatMap((s, i) => this.lines(s, i)), (this.marks = svg("g")));
    this.point(this.cursor);
  }

  x(at) {
    return LEFT + ((at - this.since) / (this.until - this.since || 1)) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    return this.height - BOTTOM - (value / this.top) * (this.height - TOP - BOTTOM);
  }

  axes() {
    const parts = [];
    for (let i = 0; i <= 4; i++) {
      const value = (this.top * i) / 4;
      const y = Math.round(this.y(value)) + 0.5;
      parts.push(svg("line.grid", { x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }),
        svg("text.end", { x: LEFT - 8, y: y + 4 }, i ? this.format(value).replace(/\.?0+(?=\D*$)/, "") : "0"));
    }
    const room = Math.max(2, Math.floor((this.width - LEFT) / 100));
    const span = this.until - this.since;
    const step = STEPS.find((s) => span / s <= room) ?? STEPS[STEPS.length - 1];
    const zone = new Date(this.until).getTimezoneOffset() * MINUTE;
    for (let at = Math.ceil((this.since - zone) / step) * step + zone; at <= this.until; at += step) {
      const x = this.x(at);
      if (x > this.width - RIGHT - 24) continue;
      parts.push(svg("text.middle", { x, y: this.height - 4 }, tickText(at, step)));
    }
    return parts;
  }

  // Where no line knows anything.
  gaps() {
    const { points = [] } = this.series[0] ?? {};
    const isKnown = (i) => this.series.some((s) => (s.points[i]?.value ?? null) !== null);
    const parts = [];
    for (let i = 0; i < points.length; i++) {
      if (isKnown(i)) continue;
      let to = i;
      while (to + 1 < points.length && !isKnown(to + 1)) to++;
      const [from, until] = [this.x(points[i].at), this.x(points[to].at)];
      parts.push(svg("rect.gap", { x: from, y: TOP, width: Math.max(1, until - from), height: this.height - TOP - BOTTOM }));
      i = to;
    }
    return parts;
  }

  lines(series, place) {
    const known = runs(series.points);
    const line = known.map((run) => run.map((p, i) => `${i ? "L" : "M"}${this.x(p.at).toFixed(1)} ${this.y(p.value).toFixed(1)}`).join("") + (run.length === 1 ? "h.1" : "")).join("");
    const band = known.filter((run) => run[0].max !== undefined && run.length > 1).map((run) => {
      const up = run.map((p) => `${this.x(p.at).toFixed(1)} ${this.y(p.max ?? p.value).toFixed(1)}`);
      const down = run.map((p) => `${this.x(p.at).toFixed(1)} ${this.y(p.min ?? p.value).toFixed(1)}`).reverse();
      return `M${[...up, ...down].join("L")}Z`;
    }).join("");
    const style = seriesClass(series.place ?? place);
    return [band && svg("path", { class: `band ${style}`, d: band }), line && svg("path", { class: `line ${style}`, d: line })].filter(Boolean);
  }

  // ---- reading

  point(at) {
    const times = this.times();
    this.cursor = at === null || !times.length ? null : nearest(times, at);
    if (!this.marks) return;
    const marks = [];
    if (this.cursor !== null) {
      const x = this.x(this.cursor);
      marks.push(svg("line.cross", { x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }));
    }
    const items = this.series.map((series, i) => {
      const value = this.cursor === null ? last(series.points) : series.points.find((p) => p.at === this.cursor)?.value ?? null;
      const style = seriesClass(series.place ?? i);
      if (this.cursor !== null && value !== null) {
        marks.push(svg("circle", { class: `dot ${style}`, cx: this.x(this.cursor), cy: this.y(value), r: 4 }));
      }
      return [style, series.label, this.format(value)];
    });
    this.marks.replaceChildren(...marks);
    this.read(items);
  }

  read(items) {
    const el = this.legend;
    put(this.time, this.cursor === null ? "Latest" : timeText(this.cursor, this.until - this.since));
    if (el.firstChild !== this.time) el.replaceChildren(this.time);
    while (el.children.length > items.length + 1) el.lastChild.remove();
    items.forEach(([style, label, value], i) => {
      const item = el.children[i + 1] ?? el.appendChild(h("span", null, h("span"), h("bdi"), " ", h("span.value")));
      attr(item.children[0], "class", `swatch ${style}`);
      put(item.children[1], label);
      put(item.children[2], value);
    });
  }

  showTable(on) {
    show(this.tables, on);
    put(this.toggle, on ? "Hide the table" : "Show as table");
    attr(this.toggle, "aria-expanded", String(on));
    cls(this.el, "with-table", on);
    if (!on) return;
    const times = this.times();
    const step = Math.max(1, Math.ceil(times.length / 120));
    const rows = times.filter((_, i) => i % step === 0).reverse().map((at) =>
      h("tr", null, h("th", { scope: "row" }, timeText(at, this.until - this.since)),
        ...this.series.map((s) => h("td.number", null, this.format(s.points.find((p) => p.at === at)?.value ?? null)))));
    this.tables.replaceChildren(h("table", null, h("caption.hidden", null, this.label),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Time"), ...this.series.map((s) => h("th.number", { scope: "col" }, h("bdi", null, s.label))))),
      h("tbody", null, ...rows)));
  }
}

// Points without a gap between them.
function runs(points) {
  const all = [];
  let run = null;
  for (const p of points) {
    if (p.value === null) run = null;
    else if (run) run.push(p);
    else all.push((run = [p]));
  }
  return all;
}

function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value || 1));
  const steps = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10];
  return unit * (steps.find((s) => s * unit >= value * 1.02) ?? 12);
}

const nearest = (times, at) => times.reduce((best, t) => (Math.abs(t - at) < Math.abs(best - at) ? t : best), times[0]);

function last(points) {
  for (let i = points.length - 1; i >= 0 && i >= points.length - 4; i--) if (points[i].value !== null) return points[i].value;
  return null;
}

function tickText(at, step) {
  if (step < MINUTE) return clockSeconds(at);
  return step < 86_400_000 && new Date(at).getHours() + new Date(at).getMinutes() > 0 ? clock(at) : moment(at, 0).replace(/ \d\d:\d\d$| \d{4}$/, "");
}

const timeText = (at, span) => (span <= 3_600_000 ? clockSeconds(at) : moment(at));

// A small line without axes; its last value stands beside it.
export function sparkline(values) {
  const known = values.filter((v) => v !== null);
  const top = Math.max(...known, 0) || 1;
  const x = (i) => (i / Math.max(1, values.length - 1)) * 120;
  let [d, pen] = ["", "M"];
  values.forEach((v, i) => {
    if (v === null) return (pen = "M");
    d += `${pen}${x(i).toFixed(1)} ${(27 - (v / top) * 26).toFixed(1)}`;
    pen = "L";
  });
  return svg("svg.spark", { viewBox: "0 0 120 28", preserveAspectRatio: "none", "aria-hidden": "true" }, d ? svg("path", { d }) : null);
}
