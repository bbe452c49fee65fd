//! What `doctor` says of the certificates that config.toml names.
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Check;
use crate::config::{Config, Paths, TlsFiles, listen};
use crate::model::address;
use crate::model::fault::Fault;
use crate::model::time::Timestamp;
use crate::tls::{self, Certificate};

/// Whoever renews by hand needs some days for it.
const SOON_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
const RENEW: &str = "renew it, then: sudo systemctl reload miner-cli (or kill -HUP the daemon)";

/// Both ports' certificates, whether or not the daemon runs.
pub fn checks(config: &Config, paths: &Paths, running: bool, now: Timestamp) -> Vec<Check> {
    let api = &config.api;
    let api_names = api.hosts.iter().map(String::as_str).chain(host_of(&api.bind)).collect();
    let ports: [(_, _, Vec<&str>); 2] = [
        ("P2P TLS", &config.tls, host_of(&config.listen).into_iter().collect()),
        ("API TLS", &api.tls, api_names),
    ];
    let mut all = Vec::new();
    for (check, files, names) in ports {
        let Some(files) = files else { continue };
        all.extend(match tls::inspect(&files.cert, &files.key) {
            Ok(certificate) => of_certificate(check, &files.cert, &certificate, &names, now),
            Err(fault) => vec![unusable(check, fault, files, paths.service)],
        });
        // A daemon that runs has read them.
        if paths.service && !running {
            all.extend(paths.node_db.parent().and_then(|folder| hidden(check, files, folder)));
        }
    }
    all
}

/// What others dial, where `listen` names it. Loopback is not dialled by others.
fn host_of(listen: &str) -> Option<&str> {
    let (host, _) = address::split(listen).ok()?;
    let everywhere = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    (!host.is_empty() && !everywhere && !listen::is_loopback(listen)).then_some(host)
}

/// What is the service's is not always this user's to read.
fn unusable(check: &'static str, fault: Fault, files: &TlsFiles, service: bool) -> Check {
    let refused =
        |file: &Path| File::open(file).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    if service && (refused(&files.cert) || refused(&files.key)) {
        return Check::warning(check, fault.message, "sudo miner-cli doctor looks into it");
    }
    let remedy = "name a certificate and its key, both PEM; see docs/tls.md";
    Check::problem(check, fault.message, fault.hint.unwrap_or_else(|| remedy.to_owned()))
}

fn of_certificate(
    check: &'static str,
    file: &Path,
    certificate: &Certificate,
    dialled: &[&str],
    now: Timestamp,
) -> Vec<Check> {
    let (shown, from, until) = (file.display(), certificate.from, certificate.until);
    let mut found = Vec::new();
    if now < from {
        let message = format!("{shown} is not good before {from}");
        found.push(Check::problem(check, message, "see whether this machine's clock is right"));
    } else if now > until {
        let message = format!("{shown} expired at {until}: who did not pin it refuses it");
        found.push(Check::problem(check, message, RENEW));
    } else if until.since_ms(now) < SOON_MS {
        let days = until.since_ms(now) / DAY_MS;
        let message = format!("{shown} expires within {} days, at {until}", days + 1);
        found.push(Check::warning(check, message, RENEW));
    }
    let names = match certificate.names() {
        names if names.is_empty() => "no name".to_owned(),
        names => names.join(", "),
    };
    let missing: Vec<&str> =
        dialled.iter().copied().filter(|name| !certificate.is_for(name)).collect();
    if !missing.is_empty() {
        let message = format!("{shown} is for {names}, not for {}", missing.join(", "));
        let remedy = "make one with these names (subjectAltName), or pin it where they are dialled";
        found.push(Check::warning(check, message, remedy));
    }
    if found.is_empty() {
        found.push(Check::ok(check, format!("{shown} is for {names}, good until {until}")));
    }
    found
}

/// Root reads everything; the service's user, who owns `folder`, does not.
fn hidden(check: &'static str, files: &TlsFiles, folder: &Path) -> Option<Check> {
    let user = folder.metadata().ok()?;
    let file = [&files.cert, &files.key]
        .into_iter()
        .find(|file| file.canonicalize().is_ok_and(|whole| !may_read(&whole, &user)))?;
    let message = format!("the service's user may not read {}", file.display());
    let remedy = "a copy in /etc/miner-cli, of root:miner-cli with mode 0640, can be read";
    Some(Check::warning(check, message, remedy))
}

/// By owner, group and mode of the file and of the folders above it.
fn may_read(file: &Path, user: &Metadata) -> bool {
    let allows = |path: &Path, bit: u32| {
        path.metadata().is_ok_and(|about| {
            let shift = if about.uid() == user.uid() {
                6
            } else if about.gid() == user.gid() {
                3
            } else {
                0
            };
            about.mode() >> shift & bit != 0
        })
    };
    allows(file, 4) && file.ancestors().skip(1).all(|folder| allows(folder, 1))
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
