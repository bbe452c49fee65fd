// A server before a daemon: under a path, as nginx would stand there, or with answers of its own in the place of some.
import http from "node:http";
import { once } from "node:events";

const BASE = "/api/v1/mining";

// `answers`: {"/live": (request, response, query) => …} below the API's path; everything else goes to the daemon.
export async function proxy(daemon, { prefix = "", answers = {} } = {}) {
  const target = new URL(daemon);
  const server = http.createServer((request, response) => {
    const { pathname, search, searchParams } = new URL(request.url, "http://here");
    if (!pathname.startsWith(`${prefix}/`)) {
      response.writeHead(pathname === prefix ? 301 : 404, pathname === prefix ? { Location: `${prefix}/` } : {});
      return response.end();
    }
    const path = pathname.slice(prefix.length);
    const answer = path.startsWith(BASE) ? answers[path.slice(BASE.length)] : null;
    if (answer) return answer(request, response, searchParams);
    const options = { host: target.hostname, port: target.port, method: request.method, path: path + search, headers: { ...request.headers, connection: "close" } };
    const onward = http.request(options, (came) => {
      response.writeHead(came.statusCode, came.headers);
      came.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

// A `/live` that says what it is told to.
export class FakeLive {
  // `reports`: whole reports of rigs, by id, for who asks with `?rig=`.
  constructor(all, reports = {}) {
    this.all = all;
    this.reports = reports;
    this.open = new Set();
    this.bytes = 0;
  }

  answer = (request, response, query) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    this.open.add(response);
    response.on("close", () => this.open.delete(response));
    const rig = this.reports[query.get("rig")];
    this.#write(response, "all", rig ? { ...this.all, rig } : this.all);
  };

  #write(response, event, data) {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    this.bytes += text.length;
    response.write(text);
  }

  say(event, data) {
    for (const response of this.open) this.#write(response, event, data);
  }

  change(data) {
    this.say("change", { at: new Date().toISOString(), ...data });
  }
}

export const json = (data) => (request, response) => {
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify(data));
};

// ---- rows

const hex = (n) => n.toString(16).padStart(16, "0");

export function peerRow(n, more = {}) {
  return {
    id: hex(n), name: `rig-${String(n).padStart(4, "0")}`, publicKey: "A".repeat(43) + "=", fingerprint: "7K3Q-9F62-".repeat(6) + "X",
    address: `10.0.${n >> 8}.${n & 255}:9091`, role: "worker", addedAt: "2026-01-01T00:00:00.000Z", lastSeen: new Date().toISOString(),
    pingMs: 1.5, score: 98, connected: true, state: "hashing", reason: null, labels: { site: n % 2 ? "garage" : "barn" }, version: "0.1.0", ...more,
  };
}

export function minerRow(n, more = {}) {
  const rate = 10_000 + ((n * 7919) % 5000) + Math.random() * 50;
  return {
    name: "xmrig-1", type: "xmrig", simulated: false, state: "hashing", reason: null, profileId: "rx", algorithm: n % 3 ? "rx/0" : "kawpow",
    hashrate: { now: rate, minute: rate * 0.99, quarter: rate * 0.98, highest: rate * 1.05 }, accepted: 1000 + Math.floor(Math.random() * 100), rejected: n % 7,
    lastShareAt: new Date(Date.now() - 4000).toISOString(), difficulty: 480045, pool: { url: "pool.example:3333", connected: true, pingMs: 23 },
    temperature: 61, power: 118, uptime: 86400, restarts: 0, ...more,
  };
}

export function rigRow(n, more = {}, miner = {}) {
  return {
    id: hex(n), name: `rig-${String(n).padStart(4, "0")}`, own: false, state: "hashing", asOf: new Date().toISOString(), unreachableSince: null,
    uptime: 86400, version: "0.1.0", load: 1.5, temperature: 55, miners: [minerRow(n, miner)], ...more,
  };
}

export function totalsOf(rigs) {
  const by = new Map();
  for (const rig of rigs) {
    for (const m of rig.miners) {
      const sum = by.get(m.algorithm) ?? { algorithm: m.algorithm, hashrate: 0, rigs: 0, miners: 0, simulated: 0 };
      sum.hashrate += m.hashrate.now ?? 0;
      sum.rigs++;
      sum.miners++;
      by.set(m.algorithm, sum);
    }
  }
  const counts = { total: rigs.length, hashing: rigs.length, degraded: 0, notHashing: 0, crashLoop: 0, idle: 0, unreachable: 0, awaitingApproval: 0 };
  return { algorithms: [...by.values()], rigs: counts, accepted: 1_000_000, rejected: 300 };
}

export const byId = (rows) => Object.fromEntries(rows.map((row) => [row.id, row]));
