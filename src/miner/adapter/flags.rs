//! Command lines of the miners that take a profile as arguments.
use std::fmt::Display;

use super::StartProblem;
use crate::model::profile::ProfileConfig;

/// What stands before `://`, the place `host:port`, and whether it is spoken to with TLS, where the profile says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool<'a> {
    pub scheme: Option<&'a str>,
    pub place: &'a str,
    pub tls: Option<bool>,
}

/// The profile's pools, the first one first.
///
/// # Errors
/// There is none, or `tls` says something else than a pool's scheme.
pub fn pools(config: &ProfileConfig) -> Result<Vec<Pool<'_>>, StartProblem> {
    let all = config.pool.iter().chain(&config.pools);
    let pools: Vec<Pool<'_>> = all.map(|pool| one(pool, config.tls)).collect::<Result<_, _>>()?;
    if pools.is_empty() {
        return Err(StartProblem::permanent("the profile has no pool"));
    }
    Ok(pools)
}

fn one(pool: &str, tls: Option<bool>) -> Result<Pool<'_>, StartProblem> {
    let Some((scheme, place)) = pool.split_once("://") else {
        return Ok(Pool { scheme: None, place: pool, tls });
    };
    let said = scheme.contains("ssl");
    if tls.is_some_and(|tls| tls != said) {
        return Err(StartProblem::permanent(format!(
            "the profile's tls and the scheme of its pool {pool} contradict each other"
        )));
    }
    Ok(Pool { scheme: Some(scheme), place, tls: Some(said) })
}

/// The wallet, with which a worker's name may have come.
///
/// # Errors
/// There is none.
pub fn wallet(config: &ProfileConfig) -> Result<&str, StartProblem> {
    config.wallet.as_deref().ok_or_else(|| StartProblem::permanent("the profile has no wallet"))
}

/// A password; an empty one is none.
pub fn password(config: &ProfileConfig) -> Option<&str> {
    config.password.as_deref().filter(|password| !password.is_empty())
}

/// # Errors
/// The profile sets something that this miner has no setting for: it must not seem to be heeded.
pub fn refuse(miner: &str, set: &[(&str, bool)]) -> Result<(), StartProblem> {
    match set.iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => {
            Err(StartProblem::permanent(format!("{miner} has no setting for config.{field}")))
        }
        None => Ok(()),
    }
}

/// A text that follows its option as an argument of its own.
///
/// # Errors
/// It would be taken for an option.
pub fn text(args: &mut Vec<String>, name: &str, value: &str) -> Result<(), StartProblem> {
    if value.is_empty() || value.starts_with('-') {
        return Err(StartProblem::permanent(format!(
            "a value of {name} that is empty or begins with - cannot be given to this miner"
        )));
    }
    args.extend([name.to_owned(), value.to_owned()]);
    Ok(())
}

/// An option and a value that we made.
pub fn own(args: &mut Vec<String>, name: &str, value: impl Display) {
    args.extend([name.to_owned(), value.to_string()]);
}

/// Device numbers as `0,1,2`.
pub fn list(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(",")
}

/// `-tstop=85` of a profile is two arguments.
pub fn split(args: &mut Vec<String>, extra: &[String]) {
    for argument in extra {
        match argument.split_once('=') {
            Some((name, value)) => own(args, name, value),
            None => args.push(argument.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, pools, refuse, split, text};
    use crate::model::profile::ProfileConfig;

    fn config(pool: &str, tls: Option<bool>) -> ProfileConfig {
        ProfileConfig { pool: Some(pool.to_owned()), tls, ..ProfileConfig::default() }
    }

    #[test]
    fn a_scheme_and_tls_agree_or_are_refused() {
        let tls = |pool, tls| Ok::<_, super::StartProblem>(pools(&config(pool, tls))?[0].tls);
        assert_eq!(tls("a:1", None), Ok(None));
        assert_eq!(tls("a:1", Some(true)), Ok(Some(true)));
        assert_eq!(tls("stratum+ssl://a:1", None), Ok(Some(true)));
        assert_eq!(tls("stratum+tcp://a:1", Some(false)), Ok(Some(false)));
        assert!(tls("stratum+tcp://a:1", Some(true)).unwrap_err().permanent);
        assert!(tls("ssl://a:1", Some(false)).is_err());
        assert!(pools(&ProfileConfig::default()).is_err());
        let two = ProfileConfig { pools: vec!["ssl://b:2".to_owned()], ..config("a:1", None) };
        let second = Pool { scheme: Some("ssl"), place: "b:2", tls: Some(true) };
        assert_eq!(pools(&two).unwrap()[1], second);
    }

    #[test]
    fn a_value_cannot_become_an_option() {
        let mut args = Vec::new();
        assert!(text(&mut args, "-u", "-b").is_err() && text(&mut args, "-u", "").is_err());
        assert!(args.is_empty());
        text(&mut args, "-u", "W").unwrap();
        split(&mut args, &["-tstop=85".to_owned(), "-dag-2mem".to_owned()]);
        assert_eq!(args, ["-u", "W", "-tstop", "85", "-dag-2mem"]);
    }

    #[test]
    fn a_setting_that_would_be_ignored_is_named() {
        assert_eq!(refuse("lolMiner", &[("threads", false)]), Ok(()));
        let problem = refuse("lolMiner", &[("threads", false), ("hugePages", true)]).unwrap_err();
        assert!(problem.permanent && problem.reason.ends_with("config.hugePages"));
    }
}
