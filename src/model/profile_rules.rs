//! What a profile may say. Profiles come from people and from other nodes alike: nothing reaches a miner's command
//! line or configuration that did not pass through [`validate`].
use super::arguments;
use super::fault::{Code, Fault};
use super::profile::{FieldError, Profile, ProfileConfig, Simulate};
use super::{address, name, text};

/// The miner types that a profile may name.
pub const MINER_TYPES: &[&str] = &["xmrig", "tt-miner", "lolminer", "srbminer", SIMULATED];
const SIMULATED: &str = "simulated";

/// Stands for a password that is not shown.
pub const HIDDEN: &str = "***";

const POOLS: usize = 16;
const DEVICES: usize = 64;
const LONGEST_POOL: usize = 300;
const LONGEST_SECRET: usize = 256;

/// Every field that is wrong, each with a sentence.
///
/// # Errors
/// At least one is.
pub fn validate(profile: &Profile) -> Result<(), Vec<FieldError>> {
    let Profile { id, name, miner_type, config } = profile;
    let mut wrong = Wrong(Vec::new());
    if !name::is_slug(id) {
        wrong.say("id", "1 to 64 of a-z, 0-9 and - are wanted");
    }
    wrong.check("name", name::check(name));
    if !MINER_TYPES.contains(&miner_type.as_str()) {
        let known = MINER_TYPES.join(", ");
        wrong.say("minerType", format!("{:?} is none of {known}", text::clean(miner_type, 32)));
    }
    wrong.check_pools(miner_type, config);
    wrong.check_wallet(miner_type, config);
    wrong.check_tuning(config);
    wrong.check_arguments(miner_type, config);
    wrong.check_simulation(miner_type, config);
    if wrong.0.is_empty() { Ok(()) } else { Err(wrong.0) }
}

/// XMRig's offline benchmark, which has neither pool nor wallet.
#[must_use]
pub fn is_benchmark(miner_type: &str, config: &ProfileConfig) -> bool {
    miner_type == "xmrig" && config.cli_args.iter().any(|a| a.starts_with("--bench="))
}

/// Whether a profile of this type needs somewhere and someone to mine for.
fn needs_pool(miner_type: &str, config: &ProfileConfig) -> bool {
    miner_type != SIMULATED && !is_benchmark(miner_type, config)
}

/// The errors so far.
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn say(&mut self, field: &str, error: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), error: error.into() });
    }

    fn check(&mut self, field: &str, result: Result<(), String>) {
        if let Err(error) = result {
            self.say(field, error);
        }
    }

    fn check_pools(&mut self, miner_type: &str, config: &ProfileConfig) {
        match &config.pool {
            Some(pool) => self.check("config.pool", check_pool(miner_type, pool)),
            None if needs_pool(miner_type, config) => {
                self.say("config.pool", "a pool is wanted: host:port");
            }
            None if !config.pools.is_empty() => {
                self.say("config.pool", "the first pool stands here, further ones in pools");
            }
            None => {}
        }
        if config.pools.len() >= POOLS {
            self.say("config.pools", format!("a profile has at most {POOLS} pools"));
            return;
        }
        for (i, pool) in config.pools.iter().enumerate() {
            self.check(&format!("config.pools[{i}]"), check_pool(miner_type, pool));
        }
    }

    fn check_wallet(&mut self, miner_type: &str, config: &ProfileConfig) {
        match config.wallet.as_deref() {
            Some(wallet) if wallet.contains(char::is_whitespace) || wallet.is_empty() => {
                self.say("config.wallet", "a wallet is neither empty nor has it spaces");
            }
            Some(wallet) => self.check("config.wallet", check_text(wallet)),
            None if needs_pool(miner_type, config) => {
                self.say("config.wallet", "a wallet is wanted: nobody would be paid");
            }
            None => {}
        }
        match config.password.as_deref() {
            Some(HIDDEN) => self.say(
                "config.password",
                "*** stands for the stored password, and here none is stored",
            ),
            Some(password) => self.check("config.password", check_text(password)),
            None => {}
        }
    }

    fn check_tuning(&mut self, config: &ProfileConfig) {
        if config.threads.is_some_and(|t| !(1..=4096).contains(&t)) {
            self.say("config.threads", "1 to 4096 threads are wanted");
        }
        let word = |text: &str, fits: fn(char) -> bool| {
            (1..=32).contains(&text.len()) && text.chars().all(fits)
        };
        let in_algo = |c| matches!(c, 'a'..='z' | '0'..='9' | '/' | '_' | '-');
        if config.algo.as_ref().is_some_and(|algo| !word(algo, in_algo)) {
            self.say("config.algo", "an algorithm is 1 to 32 of a-z, 0-9, /, _ and -, like rx/0");
        }
        if config.coin.as_ref().is_some_and(|coin| !word(coin, |c| c.is_ascii_alphanumeric())) {
            self.say("config.coin", "a coin is 1 to 32 letters and digits, like XMR");
        }
        if let Some(devices) = &config.devices {
            let mut sorted = devices.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() != devices.len() || devices.iter().any(|d| *d as usize >= DEVICES) {
                self.say("config.devices", "GPU numbers are 0 to 63, each named once");
            }
        }
        if config.intensity.is_some_and(|i| !(i > 0.0 && i <= 1000.0)) {
            self.say("config.intensity", "a number above 0 and up to 1000 is wanted");
        }
    }

    fn check_arguments(&mut self, miner_type: &str, config: &ProfileConfig) {
        if config.cli_args.len() > arguments::MOST {
            let most = arguments::MOST;
            self.say("config.cliArgs", format!("at most {most} arguments are taken"));
            return;
        }
        for (i, argument) in config.cli_args.iter().enumerate() {
            let before = &config.cli_args[..i];
            self.check(
                &format!("config.cliArgs[{i}]"),
                arguments::check(miner_type, argument, before),
            );
        }
    }

    fn check_simulation(&mut self, miner_type: &str, config: &ProfileConfig) {
        if config.hashrate.is_some_and(|h| !(h >= 0.0 && h.is_finite())) {
            self.say("config.hashrate", "hashes a second are a number, 0 or more");
        }
        if miner_type != SIMULATED {
            let only = "only a simulated miner takes this";
            if config.hashrate.is_some() {
                self.say("config.hashrate", only);
            }
            if config.simulate.is_some() {
                self.say("config.simulate", only);
            }
        } else if let Some(simulate) = &config.simulate {
            self.check_simulate(simulate);
        }
    }

    fn check_simulate(&mut self, s: &Simulate) {
        for (field, seconds) in [
            ("warmup", s.warmup),
            ("shareEvery", s.share_every),
            ("exitAfter", s.exit_after),
            ("hangAfter", s.hang_after),
            ("slowTerm", s.slow_term),
            ("poolLossAfter", s.pool_loss_after),
            ("poolLossFor", s.pool_loss_for),
        ] {
            if seconds.is_some_and(|t| !(0.0..=1e6).contains(&t)) {
                self.say(&format!("config.simulate.{field}"), "0 to 1000000 seconds are wanted");
            }
        }
        // A share every 0 s would never let the miner rest.
        if s.share_every.is_some_and(|t| t < 0.01) {
            self.say("config.simulate.shareEvery", "at least 0.01 seconds are wanted");
        }
        if s.reject_every == Some(0) {
            self.say("config.simulate.rejectEvery", "1 or more is wanted");
        }
        if s.exit_code.is_some_and(|c| !(0..=255).contains(&c)) {
            self.say("config.simulate.exitCode", "0 to 255 is wanted");
        }
        if s.log_burst.is_some_and(|n| n > 1_000_000) {
            self.say("config.simulate.logBurst", "at most 1000000 lines are taken");
        }
        if s.zero_device.is_some_and(|d| d as usize >= DEVICES) {
            self.say("config.simulate.zeroDevice", "a device is 0 to 63");
        }
    }
}

fn check_text(text: &str) -> Result<(), String> {
    if text.chars().any(text::is_unsafe) {
        return Err("control and invisible characters are not taken".to_owned());
    }
    if text.len() > LONGEST_SECRET {
        return Err(format!("at most {LONGEST_SECRET} bytes are taken"));
    }
    Ok(())
}

/// The pool schemes of a miner type.
fn schemes(miner_type: &str) -> &'static [&'static str] {
    match miner_type {
        "tt-miner" => &[
            "stratum+tcp",
            "stratum+ssl",
            "ssl",
            "stratum1",
            "stratum1+ssl",
            "epic",
            "epic+ssl",
            "zmp",
            "zmp+ssl",
        ],
        _ => &["stratum+tcp", "stratum+ssl"],
    }
}

fn check_pool(miner_type: &str, pool: &str) -> Result<(), String> {
    if pool.len() > LONGEST_POOL {
        return Err(format!("a pool has at most {LONGEST_POOL} characters"));
    }
    let place = match pool.split_once("://") {
        Some((scheme, place)) => {
            let known = schemes(miner_type);
            if !known.contains(&scheme) {
                let scheme = text::clean(scheme, 32);
                return Err(format!("the scheme {scheme:?} is none of {}", known.join(", ")));
            }
            place
        }
        None => pool,
    };
    match address::split(place)? {
        ("", _) => Err("host:port is wanted, and the host is missing".to_owned()),
        (_, 0) => Err("a port is 1 to 65535".to_owned()),
        _ => Ok(()),
    }
}

/// Fills in what people leave out: a name (`fallback_name`, else the id) and an id made of the name.
#[must_use]
pub fn complete(mut profile: Profile, fallback_name: Option<&str>) -> Profile {
    if profile.name.is_empty() {
        fallback_name.unwrap_or(&profile.id).clone_into(&mut profile.name);
    }
    if profile.id.is_empty() {
        profile.id = name::slug(&profile.name);
    }
    profile
}

/// As REST and the logs may show it: a password becomes `***`.
#[must_use]
pub fn redact(profile: &Profile) -> Profile {
    let mut shown = profile.clone();
    if shown.config.password.is_some() {
        shown.config.password = Some(HIDDEN.to_owned());
    }
    shown
}

/// `new`, where `***` keeps the password of `stored`.
#[must_use]
pub fn merge_secret(mut new: Profile, stored: &Profile) -> Profile {
    if new.config.password.as_deref() == Some(HIDDEN) {
        new.config.password.clone_from(&stored.config.password);
    }
    new
}

/// `profile` for one start: what `miner_type` and `config` say replaces what it says; an empty list says nothing.
#[must_use]
pub fn with_overrides(
    profile: &Profile,
    miner_type: Option<&str>,
    config: Option<&ProfileConfig>,
) -> Profile {
    let mut out = profile.clone();
    if let Some(miner_type) = miner_type {
        miner_type.clone_into(&mut out.miner_type);
    }
    let Some(config) = config.cloned() else { return out };
    // Taken apart whole, so that a new field cannot be forgotten here.
    let ProfileConfig {
        pool,
        pools,
        wallet,
        password,
        tls,
        huge_pages,
        threads,
        algo,
        coin,
        devices,
        intensity,
        cli_args,
        hashrate,
        simulate,
    } = config;
    let old = out.config;
    out.config = ProfileConfig {
        pool: pool.or(old.pool),
        pools: if pools.is_empty() { old.pools } else { pools },
        wallet: wallet.or(old.wallet),
        password: password.filter(|p| p != HIDDEN).or(old.password),
        tls: tls.or(old.tls),
        huge_pages: huge_pages.or(old.huge_pages),
        threads: threads.or(old.threads),
        algo: algo.or(old.algo),
        coin: coin.or(old.coin),
        devices: devices.or(old.devices),
        intensity: intensity.or(old.intensity),
        cli_args: if cli_args.is_empty() { old.cli_args } else { cli_args },
        hashrate: hashrate.or(old.hashrate),
        simulate: simulate.or(old.simulate),
    };
    out
}

/// `{rig}` in wallet and password becomes the node's name.
#[must_use]
pub fn for_rig(profile: &Profile, rig: &str) -> Profile {
    let mut out = profile.clone();
    for field in [&mut out.config.wallet, &mut out.config.password] {
        *field = field.take().map(|text| text.replace("{rig}", rig));
    }
    out
}

/// All of them in one sentence: `config.pool: …; config.wallet: …`.
#[must_use]
pub fn to_fault(errors: &[FieldError]) -> Fault {
    let listed: Vec<_> = errors.iter().map(|e| format!("{}: {}", e.field, e.error)).collect();
    Fault::new(Code::Invalid, listed.join("; "))
}

#[cfg(test)]
#[path = "profile_rules_tests.rs"]
mod tests;
