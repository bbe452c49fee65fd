// Figures as people read them. What is unknown is a dash, never 0.
export const NONE = "–";
const THIN = "\u2009";
const UNITS = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"];
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const two = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);

function unitOf(value) {
  let unit = 0;
  for (let v = Math.abs(value); v >= 999.995 && unit < UNITS.length - 1; v /= 1000) unit++;
  return unit;
}

// The unit that a column keeps; null where its values lie too far apart for one.
export function columnUnit(values) {
  const known = values.filter((v) => isKnown(v) && v > 0);
  if (!known.length) return null;
  let [low, high] = [Infinity, 0];
  for (const v of known) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (high / low > 1e4) return null;
  const unit = unitOf(high);
  return low / 1000 ** unit >= 0.1 ? unit : unitOf(low);
}

export function hashrate(value, unit = null) {
  if (!isKnown(value)) return NONE;
  const at = unit ?? unitOf(value);
  return `${two.format(value / 1000 ** at)}${THIN}${UNITS[at]}`;
}

export const count = (value) => (isKnown(value) ? whole.format(value) : NONE);

export function percent(part, all, digits = 1) {
  return isKnown(part) && isKnown(all) && all > 0 ? `${((part / all) * 100).toFixed(digits)}${THIN}%` : NONE;
}

export function measure(value, unit, digits = 0) {
  return isKnown(value) ? `${value.toFixed(digits)}${THIN}${unit}` : NONE;
}

export const degrees = (value) => measure(value, "°C");

export function ping(value) {
  return isKnown(value) ? `${value.toFixed(value < 10 ? 1 : 0)}${THIN}ms` : NONE;
}

export function power(value) {
  if (!isKnown(value)) return NONE;
  if (value < 10_000) return `${whole.format(value)}${THIN}W`;
  return value < 10_000_000 ? `${two.format(value / 1000)}${THIN}kW` : `${two.format(value / 1e6)}${THIN}MW`;
}

export function bytes(value) {
  if (!isKnown(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit ? value.toFixed(1) : value}${THIN}${units[unit]}`;
}

// Seconds as their two largest units: 3d 4h, 2h 5m, 12m 3s, 8s.
export function duration(seconds) {
  if (!isKnown(seconds)) return NONE;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86_400)}d ${Math.floor((s % 86_400) / 3600)}h`;
}

// In words for a sentence: 8 s, 12 min, 3 h, 2 d.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s}${THIN}s`;
  if (s < 7200) return `${Math.floor(s / 60)}${THIN}min`;
  return s < 172_800 ? `${Math.floor(s / 3600)}${THIN}h` : `${Math.floor(s / 86_400)}${THIN}d`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const secondFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const yearFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

export const clock = (ms) => clockFormat.format(ms);
export const clockSeconds = (ms) => secondFormat.format(ms);

// 14:02 of today, 21 Nov 14:02 of this year, 21 Nov 2025 of another.
export function moment(iso, now = Date.now()) {
  const at = typeof iso === "number" ? iso : Date.parse(iso ?? "");
  if (!Number.isFinite(at)) return NONE;
  const [then, today] = [new Date(at), new Date(now)];
  if (then.toDateString() === today.toDateString()) return clock(at);
  if (then.getFullYear() === today.getFullYear()) return `${dayFormat.format(at)} ${clock(at)}`;
  return yearFormat.format(at);
}

// 4 s ago under an hour, then the local time.
export function ago(iso, now) {
  const at = Date.parse(iso ?? "");
  if (!Number.isFinite(at)) return NONE;
  const s = Math.max(0, Math.round((now - at) / 1000));
  if (s < 60) return `${s}${THIN}s ago`;
  return s < 3600 ? `${Math.floor(s / 60)}${THIN}min ago` : moment(at, now);
}

// A value for a file: quoted where it must be, and never read as a formula by a spreadsheet.
export function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csv = (rows) => rows.map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";

export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;
