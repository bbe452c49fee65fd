// The form of a profile. What is left empty keeps the miner's own default.
import { part, post, put } from "./api.js";
import { form } from "./dialog.js";
import { done } from "./toast.js";

const TYPES = [["xmrig", "XMRig"], ["tt-miner", "TT-Miner"], ["lolminer", "lolMiner"], ["srbminer", "SRBMiner-Multi"], ["simulated", "Simulated, for trying out"]];
const HIDDEN = "***";
const THREE = [["", "The miner's default"], ["true", "Yes"], ["false", "No"]];

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const three = (value) => (value === "" ? undefined : value === "true");
const asThree = (value) => (value === undefined || value === null ? "" : String(value));

// What is no number goes to the server as it is, which says what is wrong with it.
const number = (text) => (text === "" ? undefined : Number.isNaN(Number(text)) ? text : Number(text));
const list = (text) => (text === "" ? undefined : text.split(/[\s,]+/).filter(Boolean).map(number));

function fields(profile) {
  const { config } = profile;
  const stored = Boolean(profile.id && config.password);
  return [
    { name: "name", label: "Name", value: profile.name, required: true, half: true },
    { name: "minerType", label: "Miner", options: TYPES, value: profile.minerType, half: true },
    { name: "pool", path: "config.pool", label: "Pool", value: config.pool, placeholder: "pool.example:3333" },
    { name: "pools", path: "config.pools", label: "Further pools, one a line, used in this order", rows: 2, value: (config.pools ?? []).join("\n") },
    { name: "wallet", path: "config.wallet", label: "Wallet", value: config.wallet, hint: "{rig} in it becomes the rig's name." },
    { name: "password", path: "config.password", label: "Pool password", type: "password", hint: stored ? "One is stored and never shown. Left empty, it stays." : "Optional." },
    ...(stored ? [{ name: "forget", label: "Forget the stored password", type: "checkbox" }] : []),
    { name: "algo", path: "config.algo", label: "Algorithm", value: config.algo, placeholder: "rx/0", half: true },
    { name: "coin", path: "config.coin", label: "Coin", value: config.coin, placeholder: "XMR", half: true },
    { name: "tls", path: "config.tls", label: "TLS to the pool", options: THREE, value: asThree(config.tls), half: true },
    { name: "hugePages", path: "config.hugePages", label: "Huge pages", options: THREE, value: asThree(config.hugePages), half: true },
    { name: "threads", path: "config.threads", label: "Threads", inputmode: "numeric", value: config.threads, half: true },
    { name: "devices", path: "config.devices", label: "GPUs, by number", value: config.devices?.join(", "), placeholder: "0, 1", half: true },
    { name: "intensity", path: "config.intensity", label: "Intensity", inputmode: "decimal", value: config.intensity, half: true },
    { name: "hashrate", path: "config.hashrate", label: "H/s, of a simulated miner alone", inputmode: "decimal", value: config.hashrate, half: true },
    { name: "cliArgs", path: "config.cliArgs", label: "Further arguments of the miner, one a line", rows: 2, value: (config.cliArgs ?? []).join("\n"), hint: "Only those that this node's list allows for the miner." },
  ];
}

function read(values, profile) {
  const text = (key) => values[key] || undefined;
  const password = values.password || (profile.id && profile.config.password && !values.forget ? HIDDEN : undefined);
  return {
    name: values.name, minerType: values.minerType,
    config: {
      pool: text("pool"), pools: lines(values.pools), wallet: text("wallet"), password,
      tls: three(values.tls), hugePages: three(values.hugePages), threads: number(values.threads), algo: text("algo"), coin: text("coin"),
      devices: list(values.devices), intensity: number(values.intensity), cliArgs: lines(values.cliArgs), hashrate: number(values.hashrate),
      // Not in the form, and not lost by it.
      simulate: profile.config.simulate,
    },
  };
}

// Opens the form, empty for null; gives the saved profile, or null.
export async function edit(given) {
  const profile = given ?? { id: "", name: "", minerType: "xmrig", config: {} };
  const answer = await form("profile", profile.id ? `Edit ${profile.name}` : "New profile", {
    intro: [profile.id ? "Rigs that have this profile keep their copy until it is deployed to them again." : "What to mine, with what and for whom."],
    fields: fields(profile),
    action: profile.id ? "Save" : "Make it",
    async send(values) {
      const body = read(values, profile);
      return profile.id ? put(`/profiles/${part(profile.id)}`, { id: profile.id, ...body }) : post("/profiles", body);
    },
  });
  if (answer) done(`${answer.done.name} is saved`);
  return answer?.done ?? null;
}
