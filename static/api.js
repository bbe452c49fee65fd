// REST. Addresses are relative to the page's own, so that a proxy may serve everything under a path.
export const BASE = "api/v1/mining";
const PATIENCE = 60_000;

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error ?? `the daemon answered ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
    this.hint = body?.hint ?? "";
  }

  // The route does not exist in this version of the daemon, or the feature is switched off.
  get missing() {
    return this.status === 501 || this.code === "ROUTE_NOT_FOUND" || (this.status === 404 && !this.code);
  }
}

let onLoggedOut = () => {};
export function whenLoggedOut(fn) {
  onLoggedOut = fn;
}

export const url = (path) => BASE + path;

export function query(params) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const part = encodeURIComponent;

async function call(method, path, body, signal) {
  const limit = AbortSignal.timeout(PATIENCE);
  let answer;
  try {
    answer = await fetch(url(path), {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, {
      error: limit.aborted ? "the daemon did not answer within a minute" : "the daemon does not answer",
      hint: "is `miner-cli node serve` running? The page tries again by itself",
    });
  }
  const text = await answer.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    data = null;
  }
  if (!answer.ok) {
    if (answer.status === 401 && path !== "/session") onLoggedOut();
    throw new ApiError(answer.status, data);
  }
  return { data, answer };
}

export const get = async (path, signal) => (await call("GET", path, undefined, signal)).data;
export const getWithHead = (path, signal) => call("GET", path, undefined, signal);
export const post = async (path, body) => (await call("POST", path, body)).data;
export const put = async (path, body) => (await call("PUT", path, body)).data;
export const del = async (path) => (await call("DELETE", path)).data;

// A sentence begins with a capital letter, but a rig's name is as it is.
const PLAIN = /^(the|this|that|a|an|no|not|too|there|it|its|is|only|what|nothing|wrong|your) /;
const capital = (text) => (PLAIN.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text);

// An error in words, with its next step.
export function words(error) {
  const text = capital(error.message || String(error));
  if (!error.hint) return /[.!?]$/.test(text) ? text : `${text}.`;
  const hint = error.hint.charAt(0).toUpperCase() + error.hint.slice(1);
  return `${text.replace(/\.$/, "")}. ${hint}${/[.!?]$/.test(hint) ? "" : "."}`;
}

// `config.pool: …; config.wallet: …` by field; what names no field is under "".
export function fieldErrors(error) {
  const found = new Map();
  for (const segment of error.message.split("; ")) {
    const [, field, text] = /^([a-zA-Z]+(?:\.[a-zA-Z]+|\[\d+\])*): (.+)$/s.exec(segment) ?? [null, "", segment];
    found.set(field, found.has(field) ? `${found.get(field)}; ${text}` : text);
  }
  return found;
}

// Runs `task` over `items`, a few at a time: a browser has six connections to a host.
export async function each(items, atOnce, task) {
  const left = [...items];
  const work = async () => {
    while (left.length) await task(left.shift());
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, left.length) }, work));
}
