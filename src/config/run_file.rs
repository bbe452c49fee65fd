//! daemon.json: how the command line finds the daemon of its home.
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Paths;
use crate::model::fault::{Code, Fault};
use crate::model::time::Timestamp;
use crate::model::trust::Pin;
use crate::sys::files;

/// Written by the daemon when it serves, removed when it ends; left behind by one that was killed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    pub pid: u32,
    /// `http://127.0.0.1:9090`, `https://…` under TLS.
    pub api: String,
    /// Names the API's certificate: the command line trusts that one, whatever its name and authority.
    pub api_pin: Option<Pin>,
    /// Where the P2P port listens, with `wss://` before it under TLS; null without an identity.
    pub listen: Option<String>,
    pub listen_pin: Option<Pin>,
    pub started_at: Timestamp,
    pub version: String,
}

impl RunFile {
    /// # Errors
    /// `NOT_SAVED`, naming the file.
    pub fn write(&self, paths: &Paths) -> Result<(), Fault> {
        let json = serde_json::to_vec(self).expect("plain data is always JSON");
        files::write_atomic(&paths.run_file(), &json, paths.run_mode())
    }

    /// `None` when no daemon has written one.
    ///
    /// # Errors
    /// It cannot be read, or is none of ours.
    pub fn read(path: &Path) -> Result<Option<Self>, Fault> {
        let Some(bytes) = files::read_small(path, 64 * 1024)? else { return Ok(None) };
        let file = serde_json::from_slice(&bytes).map_err(|e| {
            Fault::new(Code::Internal, format!("{} cannot be understood: {e}", path.display()))
        })?;
        Ok(Some(file))
    }

    /// Removes it; that there is none is fine.
    ///
    /// # Errors
    /// `NOT_SAVED`, naming the file.
    pub fn remove(path: &Path) -> Result<(), Fault> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(files::not_saved(path, &e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::RunFile;
    use crate::config::Paths;
    use crate::model::time::Timestamp;
    use crate::model::trust::Pin;

    #[test]
    fn it_is_written_privately_read_back_and_removed() {
        let name = format!("miner-cli-run-{}", crate::sys::random::hex::<8>());
        let home = std::env::temp_dir().join(name);
        let paths = Paths::resolve(Some(&home)).unwrap();
        paths.prepare().unwrap();
        let path = paths.run_file();
        assert_eq!(RunFile::read(&path).unwrap(), None);
        let file = RunFile {
            pid: 7,
            api: "http://127.0.0.1:9090".to_owned(),
            api_pin: Some(Pin([5; 32])),
            listen: None,
            listen_pin: None,
            started_at: Timestamp(1_700_000_000_000),
            version: "0.1.0".to_owned(),
        };
        file.write(&paths).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"startedAt\""));
        assert_eq!(RunFile::read(&path).unwrap(), Some(file));
        std::fs::write(&path, "{").unwrap();
        assert!(RunFile::read(&path).unwrap_err().message.contains(path.to_str().unwrap()));
        RunFile::remove(&path).unwrap();
        RunFile::remove(&path).unwrap();
        std::fs::remove_dir_all(&home).unwrap();
    }
}
