use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{DAY_MS, checks};
use crate::cli::doctor::Status::{self, Ok, Problem, Warning};
use crate::config::{Config, Paths, TlsFiles};
use crate::model::time::Timestamp;

/// A folder with a certificate for these names, good in all of 2026, and its key.
struct Home {
    folder: PathBuf,
    paths: Paths,
}

impl Home {
    fn new(names: &[&str]) -> Self {
        let name = format!("miner-cli-certificates-{}", crate::sys::random::hex::<8>());
        let folder = std::env::temp_dir().join(name);
        let paths = Paths::resolve(Some(&folder)).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        std::fs::write(folder.join("cert.pem"), made.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder, paths }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { cert: self.folder.join("cert.pem"), key: self.folder.join("key.pem") }
    }

    /// The API's, on all interfaces under these names.
    fn api(&self, hosts: &[&str]) -> Config {
        let mut config = Config::default();
        config.api.tls = Some(self.files());
        config.api.bind = "0.0.0.0:9090".to_owned();
        config.api.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        config
    }

    fn said(&self, config: &Config, now: Timestamp) -> Vec<(Status, String)> {
        let rows = checks(config, &self.paths, true, now).into_iter();
        rows.map(|row| (row.status, row.message)).collect()
    }

    /// One check, and whether it says so.
    fn says(&self, config: &Config, now: Timestamp, status: Status, words: &str) {
        let said = self.said(config, now);
        assert!(said.len() == 1 && said[0].0 == status && said[0].1.contains(words), "{said:?}");
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn summer() -> Timestamp {
    at("2026-07-01T00:00:00Z")
}

#[test]
fn its_dates() {
    let home = Home::new(&["farm.example"]);
    let config = home.api(&[]);
    let end = at("2027-01-01T00:00:00Z");
    home.says(&config, at("2025-12-31T23:59:59Z"), Problem, "is not good before 2026-01-01T00");
    home.says(&config, summer(), Ok, "is for farm.example, good until 2027-01-01T00");
    home.says(&config, end.plus_ms(-14 * DAY_MS), Ok, "good until");
    home.says(&config, end.plus_ms(1 - 14 * DAY_MS), Warning, "expires within 14 days");
    home.says(&config, end.plus_ms(-1), Warning, "expires within 1 days");
    home.says(&config, end.plus_ms(1), Problem, "expired at 2027-01-01T00");
}

#[test]
fn its_names() {
    let home = Home::new(&["farm.example", "192.168.1.100"]);
    let names = "is for farm.example, 192.168.1.100";
    home.says(&home.api(&["farm.example"]), summer(), Ok, names);
    let words = format!("{names}, not for other.example");
    home.says(&home.api(&["farm.example", "other.example"]), summer(), Warning, &words);
    let mut config = home.api(&[]);
    for (bind, status) in [
        ("192.168.1.100:9090", Ok),
        ("192.168.1.101:9090", Warning),
        (":9090", Ok),
        ("[::]:9090", Ok),
        ("127.0.0.1:9090", Ok),
    ] {
        config.api.bind = bind.to_owned();
        home.says(&config, summer(), status, names);
    }
    // What is wrong with name and date is said of both, and of each port.
    let config = Config { listen: "10.0.0.1:9091".to_owned(), tls: Some(home.files()), ..config };
    let late = home.said(&config, at("2027-07-01T00:00:00Z"));
    assert_eq!(late.iter().map(|row| row.0).collect::<Vec<_>>(), [Problem, Warning, Problem]);
    let nameless = Home::new(&[]);
    nameless.says(&nameless.api(&["farm.example"]), summer(), Warning, "for no name, not for farm");
}

#[test]
fn what_cannot_be_used() {
    let home = Home::new(&["farm.example"]);
    let config = home.api(&[]);
    assert_eq!(home.said(&Config::default(), summer()), []);
    let other = Home::new(&["farm.example"]);
    std::fs::copy(other.folder.join("key.pem"), home.folder.join("key.pem")).unwrap();
    home.says(&config, summer(), Problem, "not the key of the certificate");
    std::fs::write(home.folder.join("key.pem"), "").unwrap();
    home.says(&config, summer(), Problem, "it holds no private key");
    std::fs::remove_file(home.folder.join("cert.pem")).unwrap();
    home.says(&config, summer(), Problem, "cert.pem: there is no such file");
}

#[test]
fn what_the_services_user_may_not_read() {
    let home = Home::new(&["farm.example"]);
    let config = home.api(&[]);
    let service = Paths { service: true, ..home.paths.clone() };
    let hidden = |mode: u32| {
        let key = home.folder.join("key.pem");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(mode)).unwrap();
        let stopped = checks(&config, &service, false, summer());
        assert_eq!(checks(&config, &service, true, summer()).len(), 1, "a daemon that runs");
        stopped.len() == 2 && stopped[1].message.contains("may not read")
    };
    assert!(!hidden(0o600));
    if home.folder.metadata().is_ok_and(|folder| std::os::unix::fs::MetadataExt::uid(&folder) == 0)
    {
        assert!(hidden(0o000), "root reads it, the owner by its mode would not");
    }
}
