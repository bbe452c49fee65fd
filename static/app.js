// The dashboard: one page, refreshed every 5 s. Text goes in through textContent alone: names come from other machines.
const BASE = "/api/v1/mining";
const REFRESH = 5000;
// Shape, word and colour of each state.
const STATES = {
  "hashing": ["●", "good"], "degraded": ["◐", "warn"], "not-hashing": ["◌", "warn"], "crash-loop": ["✖", "bad"],
  "unreachable": ["▲", "bad"], "idle": ["○", ""], "awaiting-approval": ["◇", "note"], "pairing-request": ["◇", "note"],
  "connected": ["●", "note"],
};
const at = (id) => document.getElementById(id);
let timer = 0;
let lastData = 0;

async function api(method, path, body) {
  const answer = await fetch(BASE + path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(10000),
  });
  const data = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(data.error), { status: answer.status });
  return data;
}

// ---- figures

function hashrate(value) {
  if (value === null || value === undefined) return "–";
  const units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s"];
  let unit = 0;
  for (; value >= 999.995 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(2)}\u2009${units[unit]}`;
}

function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

const known = (values) => values.filter((v) => v !== null && v !== undefined);
const sum = (values) => (values.length ? values.reduce((a, b) => a + b, 0) : null);

// Hashrates of different algorithms are never added together.
function hashrates(miners) {
  const all = new Map();
  for (const miner of miners) {
    if (miner.hashrate.now === null) continue;
    const name = miner.algorithm ?? "?";
    all.set(name, (all.get(name) ?? 0) + miner.hashrate.now);
  }
  return [...all].map(([name, value]) => `${name} ${hashrate(value)}`).join(" · ") || "–";
}

// ---- the page

function say(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

// Writes only what differs, so that a selection stays.
function put(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

function row(peer, stats) {
  const rows = at("rows");
  let tr = [...rows.children].find((r) => r.dataset.id === peer.id);
  if (!tr) {
    tr = rows.insertRow();
    tr.dataset.id = peer.id;
    for (const label of ["", "", "", "accepted", "rejected", "seen"]) {
      const cell = tr.insertCell();
      cell.dataset.label = label;
      if (tr.cells.length > 2) cell.className = "number";
    }
  }
  const miners = stats?.miners ?? [];
  const [shape, colour] = STATES[peer.state] ?? ["?", ""];
  const old = peer.state === "unreachable";
  const count = (key) => sum(known(miners.map((m) => m[key])));
  const number = (value) => (value === null ? "–" : value.toLocaleString("en"));
  tr.className = old ? "old" : "";
  tr.cells[0].className = `state ${colour}`;
  tr.title = peer.reason ?? "";
  put(tr.cells[0], `${shape} ${peer.state}`);
  const labels = Object.entries(peer.labels).map(([key, value]) => `${key}=${value}`);
  put(tr.cells[1], [peer.name, ...labels].join(" · "));
  put(tr.cells[2], old ? "–" : hashrates(miners));
  put(tr.cells[3], number(count("accepted")));
  put(tr.cells[4], number(count("rejected")));
  put(tr.cells[5], peer.lastSeen ? `${span(Date.now() - Date.parse(peer.lastSeen))} ago` : "never");
}

function show(totals, peers, all) {
  const { hashing, total } = totals.rigs;
  const sums = totals.algorithms.map((a) => {
    const pretended = a.simulated ? (a.simulated === a.miners ? " (simulated)" : " (partly simulated)") : "";
    return `${a.algorithm} ${hashrate(a.hashrate)}${pretended}`;
  });
  put(at("summary"), [`${hashing} of ${total} rigs hashing`, ...sums].join(" · "));
  const ids = new Set(peers.map((p) => p.id));
  for (const tr of [...at("rows").children]) if (!ids.has(tr.dataset.id)) tr.remove();
  for (const peer of peers) row(peer, all[peer.id]);
  at("empty").hidden = peers.length > 0;
}

function signedIn(yes) {
  at("login").hidden = yes;
  at("peers").hidden = !yes;
  at("logout").hidden = !yes;
  if (!yes) {
    clearTimeout(timer);
    at("rows").replaceChildren();
    put(at("summary"), "Log in to see the rigs");
  }
}

async function refresh() {
  clearTimeout(timer);
  try {
    const paths = ["/remote/totals", "/peers", "/remote/stats"];
    const data = await Promise.all(paths.map((path) => api("GET", path)));
    signedIn(true);
    show(...data);
    lastData = Date.now();
    say("");
  } catch (error) {
    if (error.status === 401) {
      say("");
      return signedIn(false);
    }
    const age = lastData ? `; what you see is ${span(Date.now() - lastData)} old` : "";
    say(error.status ? `${error.message}${age}` : `Lost the daemon: it does not answer${age}. Trying again.`);
  }
  timer = setTimeout(refresh, REFRESH);
}

async function login(token) {
  try {
    await api("POST", "/session", { token });
    say("");
    await refresh();
  } catch (error) {
    signedIn(false);
    say(error.status ? error.message : "Lost the daemon: it does not answer.");
  }
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = at("token");
  const token = field.value.trim();
  field.value = "";
  login(token);
});
at("logout").addEventListener("click", async () => {
  await api("DELETE", "/session").catch(() => {});
  signedIn(false);
});

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  // The token must stay neither in the address bar nor in the history.
  history.replaceState(null, "", location.pathname);
  login(given);
} else {
  refresh();
}
