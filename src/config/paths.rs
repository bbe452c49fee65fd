//! Where a node keeps its files.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::fault::{Code, Fault};
use crate::sys::files;

/// The name of our folders below the XDG ones.
const FOLDER: &str = "lethean-desktop";
/// The name of the service's folders in /etc, /var/lib and /run.
const SERVICE: &str = "miner-cli";

/// All absolute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    pub config_file: PathBuf,
    /// The public half of the identity.
    pub node_json: PathBuf,
    pub private_key: PathBuf,
    /// Peers, invites, profiles, what should run, audit.
    pub node_db: PathBuf,
    /// History.
    pub mining_db: PathBuf,
    /// What lives no longer than the daemon, and the API token.
    pub run_dir: PathBuf,
    /// The system's service: its group may read the run file and the token.
    pub service: bool,
}

impl Paths {
    /// With `home` everything lies in that folder, else in the user's XDG folders. Makes nothing.
    ///
    /// # Errors
    /// There is no `home`, and the environment has no HOME either.
    pub fn resolve(home: Option<&Path>) -> Result<Self, Fault> {
        Self::resolve_in(home, &|name| std::env::var_os(name))
    }

    /// Where a daemon keeps its files: with `home` in that folder; without, where systemd says that its service's
    /// folders are, else in the user's XDG folders.
    ///
    /// # Errors
    /// As [`Paths::resolve`].
    pub fn of_daemon(home: Option<&Path>) -> Result<Self, Fault> {
        let env = |name: &str| std::env::var_os(name);
        match Self::of_unit(&env).filter(|_| home.is_none()) {
            Some(paths) => Ok(paths),
            None => Self::resolve_in(home, &env),
        }
    }

    /// Where the files of this system's service are: what its unit says in `ConfigurationDirectory=` and the like.
    #[must_use]
    pub fn of_service() -> Self {
        let folder = |above: &str| Path::new(above).join(SERVICE);
        Self::apart(&folder("/etc"), &folder("/var/lib"), folder("/run"))
    }

    /// The folders that systemd made for the unit that this process belongs to.
    fn of_unit(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        // Several of a kind stand with colons between them.
        let folder =
            |name| std::env::split_paths(&env(name)?).next().filter(|folder| folder.is_absolute());
        let (config, state) = (folder("CONFIGURATION_DIRECTORY")?, folder("STATE_DIRECTORY")?);
        Some(Self::apart(&config, &state, folder("RUNTIME_DIRECTORY")?))
    }

    /// The configuration belongs to the machine's owner and is not written to: the identity lies with the state.
    fn apart(config: &Path, state: &Path, run: PathBuf) -> Self {
        let node_json = state.join("node.json");
        Self { node_json, service: true, ..Self::new(config, state, run) }
    }

    fn resolve_in(
        home: Option<&Path>,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Fault> {
        if let Some(home) = home {
            let home = std::path::absolute(home).map_err(|e| files::not_read(home, &e))?;
            return Ok(Self::new(&home, &home, home.join("run")));
        }
        // The XDG specification wants relative ones ignored.
        let folder = |name| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let below_home = |rest| match folder("HOME") {
            Some(home) => Ok(home.join(rest)),
            None => Err(Fault::new(Code::Invalid, "there is no home folder: HOME is not set")
                .hint("set HOME, or say where the files are with --home DIR")),
        };
        let config = folder("XDG_CONFIG_HOME").map_or_else(|| below_home(".config"), Ok)?;
        let data = folder("XDG_DATA_HOME").map_or_else(|| below_home(".local/share"), Ok)?;
        let data = data.join(FOLDER);
        let run = folder("XDG_RUNTIME_DIR").map_or_else(|| data.join("run"), |r| r.join(FOLDER));
        Ok(Self::new(&config.join(FOLDER), &data, run))
    }

    fn new(config: &Path, data: &Path, run_dir: PathBuf) -> Self {
        Self {
            config_file: config.join("config.toml"),
            node_json: config.join("node.json"),
            private_key: data.join("node/private.key"),
            node_db: data.join("node.db"),
            mining_db: data.join("mining.db"),
            run_dir,
            service: false,
        }
    }

    /// Where a running daemon says how to reach it: [`super::RunFile`].
    #[must_use]
    pub fn run_file(&self) -> PathBuf {
        self.run_dir.join("daemon.json")
    }

    /// The local API token.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.run_dir.join("token")
    }

    /// Beside node.db, which it guards: two daemons whose run folders differ must not share that.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.node_db.with_file_name("daemon.lock")
    }

    /// The mode of run file and token.
    #[must_use]
    pub fn run_mode(&self) -> u32 {
        if self.service { files::GROUP } else { files::PRIVATE }
    }

    /// The private socket between gate and HTTP server.
    #[must_use]
    pub fn gate_dir(&self) -> PathBuf {
        self.run_dir.join("gate")
    }

    /// One folder a miner.
    #[must_use]
    pub fn miners_dir(&self) -> PathBuf {
        self.run_dir.join("miners")
    }

    /// The miners' output, beside node.db.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.node_db.with_file_name("logs")
    }

    /// Makes the folders, mode 0700, and proves that files can be made in them.
    ///
    /// # Errors
    /// Names the folder that cannot be had or written to.
    pub fn prepare(&self) -> Result<(), Fault> {
        let above = [&self.node_json, &self.node_db, &self.private_key];
        for folder in above.iter().filter_map(|file| file.parent()) {
            files::private_folder(folder)?;
        }
        for folder in [&self.run_dir, &self.gate_dir(), &self.miners_dir(), &self.logs_dir()] {
            files::private_folder(folder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    use super::Paths;

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into())
    }

    #[test]
    fn a_home_holds_everything() {
        let paths = Paths::resolve(Some(Path::new("/srv/rig"))).unwrap();
        assert_eq!(paths.config_file, Path::new("/srv/rig/config.toml"));
        assert_eq!(paths.node_json, Path::new("/srv/rig/node.json"));
        assert_eq!(paths.private_key, Path::new("/srv/rig/node/private.key"));
        assert_eq!(paths.node_db, Path::new("/srv/rig/node.db"));
        assert_eq!(paths.mining_db, Path::new("/srv/rig/mining.db"));
        assert_eq!(paths.run_file(), Path::new("/srv/rig/run/daemon.json"));
        assert_eq!(paths.token_file(), Path::new("/srv/rig/run/token"));
        assert_eq!(paths.miners_dir(), Path::new("/srv/rig/run/miners"));
        assert_eq!(paths.logs_dir(), Path::new("/srv/rig/logs"));
        assert!(Paths::resolve(Some(Path::new("rig"))).unwrap().node_db.is_absolute());
    }

    #[test]
    fn without_one_the_xdg_folders_do() {
        let all = env(&[
            ("HOME", "/home/ann"),
            ("XDG_CONFIG_HOME", "/c"),
            ("XDG_DATA_HOME", "/d"),
            ("XDG_RUNTIME_DIR", "/r"),
        ]);
        let paths = Paths::resolve_in(None, &all).unwrap();
        assert_eq!(paths.node_json, Path::new("/c/lethean-desktop/node.json"));
        assert_eq!(paths.private_key, Path::new("/d/lethean-desktop/node/private.key"));
        assert_eq!(paths.run_dir, Path::new("/r/lethean-desktop"));

        let home = env(&[("HOME", "/home/ann"), ("XDG_DATA_HOME", "relative")]);
        let paths = Paths::resolve_in(None, &home).unwrap();
        assert_eq!(paths.config_file, Path::new("/home/ann/.config/lethean-desktop/config.toml"));
        assert_eq!(paths.node_db, Path::new("/home/ann/.local/share/lethean-desktop/node.db"));
        assert_eq!(paths.run_dir, Path::new("/home/ann/.local/share/lethean-desktop/run"));
    }

    #[test]
    fn a_unit_has_the_folders_that_systemd_made() {
        let unit = env(&[
            ("CONFIGURATION_DIRECTORY", "/etc/miner-cli"),
            ("STATE_DIRECTORY", "/var/lib/miner-cli:/var/lib/other"),
            ("RUNTIME_DIRECTORY", "/run/miner-cli"),
        ]);
        let paths = Paths::of_unit(&unit).unwrap();
        assert_eq!(paths, Paths::of_service());
        assert_eq!(paths.config_file, Path::new("/etc/miner-cli/config.toml"));
        assert_eq!(paths.node_json, Path::new("/var/lib/miner-cli/node.json"));
        assert_eq!(paths.private_key, Path::new("/var/lib/miner-cli/node/private.key"));
        assert_eq!(paths.token_file(), Path::new("/run/miner-cli/token"));
        assert_eq!(paths.run_mode(), 0o640);
        for incomplete in [
            &[("STATE_DIRECTORY", "/s"), ("RUNTIME_DIRECTORY", "/r")][..],
            &[
                ("CONFIGURATION_DIRECTORY", "c"),
                ("STATE_DIRECTORY", "/s"),
                ("RUNTIME_DIRECTORY", "/r"),
            ],
        ] {
            assert_eq!(Paths::of_unit(&env(incomplete)), None);
        }
    }

    #[test]
    fn no_home_at_all_is_said_plainly() {
        let fault = Paths::resolve_in(None, &|_| None).unwrap_err();
        assert!(fault.message.contains("HOME is not set"), "{fault}");
        assert!(fault.hint.unwrap().contains("--home"));
    }

    #[test]
    fn the_folders_are_made_for_this_user_alone() {
        let name = format!("miner-cli-paths-{}", crate::sys::random::hex::<8>());
        let home: PathBuf = std::env::temp_dir().join(name);
        let paths = Paths::resolve(Some(&home)).unwrap();
        paths.prepare().unwrap();
        paths.prepare().unwrap();
        for folder in
            [&home, &home.join("node"), &paths.gate_dir(), &paths.miners_dir(), &paths.logs_dir()]
        {
            let mode = std::fs::metadata(folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        }
        std::fs::remove_dir_all(&home).unwrap();
    }

    #[test]
    fn a_home_that_cannot_be_written_is_named() {
        let paths = Paths::resolve(Some(Path::new("/proc/self"))).unwrap();
        let fault = paths.prepare().unwrap_err();
        assert!(fault.message.starts_with("/proc/self cannot be written"), "{fault}");
    }
}
