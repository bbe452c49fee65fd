// Real daemons in folders of their own: a controller, and rigs with simulated miners.
import { execFile, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const BINARY = resolve(process.env.MINER_CLI ?? "target/debug/miner-cli");
// Long enough for a loaded machine; a test that waits this long has failed.
export const PATIENCE = 60_000;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Waits until `check` gives something true, and gives that.
export async function until(what, check, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last = null;
  for (;;) {
    try {
      const found = await check();
      if (found) return found;
      last = null;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${patience / 1000} s for: ${what}${last ? ` (${last.message})` : ""}`);
    await pause(100);
  }
}

export class Node {
  constructor(name) {
    this.name = name;
    this.home = mkdtempSync(join(tmpdir(), `mc-browser-${name}-`));
  }

  static async serve(name, role, config = "") {
    const node = new Node(name);
    await node.cli("node", "init", "--name", name, "--role", role);
    node.file("config.toml", config);
    await node.start();
    return node;
  }

  file(name, text) {
    const path = join(this.home, name);
    writeFileSync(path, text);
    return path;
  }

  #environment() {
    const { MINER_CLI_HOME, MINER_CLI_API, MINER_CLI_TOKEN, ...environment } = process.env;
    return environment;
  }

  // What a command line said; `code` beside it.
  said(...args) {
    return new Promise((done) => {
      const options = { env: this.#environment(), maxBuffer: 1 << 26 };
      execFile(BINARY, ["--home", this.home, ...args], options, (error, out, err) =>
        done({ code: error ? (error.code ?? 1) : 0, out, err }));
    });
  }

  async cli(...args) {
    const { code, out, err } = await this.said(...args);
    if (code !== 0) throw new Error(`${this.name}: miner-cli ${args.join(" ")}: exit ${code}: ${err}`);
    return out;
  }

  async json(...args) {
    return JSON.parse(await this.cli(...args, "--json"));
  }

  async start(listen = "127.0.0.1:0", api = "127.0.0.1:0") {
    const log = openSync(join(this.home, "daemon.log"), "a");
    const args = ["--home", this.home, "node", "serve", "--listen", listen, "--api", api];
    this.child = spawn(BINARY, args, { env: this.#environment(), stdio: ["ignore", log, log] });
    closeSync(log);
    this.ended = new Promise((done) => this.child.once("exit", done));
    let gone = false;
    this.ended.then(() => (gone = true));
    await until(`${this.name} serves`, () => {
      if (gone) throw new Error(readFileSync(join(this.home, "daemon.log"), "utf8"));
      return this.run().pid === this.child.pid;
    });
  }

  run() {
    return JSON.parse(readFileSync(join(this.home, "run/daemon.json"), "utf8"));
  }

  get p2p() {
    return this.run().listen;
  }

  // `http://127.0.0.1:port`.
  get api() {
    const { api } = this.run();
    return api.startsWith("http") ? api : `http://${api}`;
  }

  get token() {
    return readFileSync(join(this.home, "run/token"), "utf8").trim();
  }

  async rest(method, path, body) {
    const answer = await fetch(`${this.api}/api/v1/mining${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, data: text ? JSON.parse(text) : null };
  }

  async info() {
    return (await this.json("node", "info")).identity;
  }

  peers() {
    return this.json("peer", "list");
  }

  async peer(name) {
    return (await this.peers()).find((peer) => peer.name === name) ?? null;
  }

  async profile(profile) {
    await this.cli("profile", "add", this.file(`profile-${profile.name}.json`, JSON.stringify(profile)));
  }

  async stop() {
    if (!this.child) return;
    this.child.kill("SIGTERM");
    await this.ended;
    this.child = null;
  }

  async remove() {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }
}

export const simulated = (name, more = {}) => {
  const { simulate, ...config } = more;
  return {
    name,
    minerType: "simulated",
    config: { algo: "rx/0", hashrate: 12500, pool: "pool.example:3333", wallet: "48WALLET.{rig}", ...config, simulate: { warmup: 1, shareEvery: 1, ...simulate } },
  };
};

// Registers `rig` with `controller` by an invite, under the rig's own name.
export async function link(controller, rig) {
  const { code } = await controller.json("node", "invite");
  await rig.cli("node", "join", controller.p2p, code);
  await until(`${rig.name} is linked`, async () => (await controller.peer(rig.name))?.connected);
}

// A controller and rigs of these names, linked.
export async function farm(...names) {
  const controller = await Node.serve("control-center", "controller");
  const rigs = [];
  for (const name of names) {
    const rig = await Node.serve(name, "worker");
    rigs.push(rig);
    await link(controller, rig);
  }
  return { controller, rigs, nodes: [controller, ...rigs], end: () => Promise.all([controller, ...rigs].map((node) => node.remove())) };
}

export function shots() {
  const folder = resolve(process.env.SCREENSHOTS ?? "target/screenshots");
  mkdirSync(folder, { recursive: true });
  return folder;
}
