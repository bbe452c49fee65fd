//! Where the miner programs are, and whether they are the ones they should be.
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::MinerSetup;
use super::adapter::{Dialect, StartProblem};

/// The program of a dialect, looked up anew at every start: it may have been installed or replaced meanwhile.
///
/// # Errors
/// It is not installed, or not the file that the configuration names by its hash.
pub fn find(dialect: &Dialect, setup: &MinerSetup) -> Result<PathBuf, StartProblem> {
    if dialect.programs.is_empty() {
        return Ok(setup.own_program.clone());
    }
    let set = setup.programs.get(dialect.name);
    let path = locate(
        dialect,
        set.and_then(|set| set.path.as_deref()),
        std::env::var_os("PATH").as_deref(),
    )?;
    if let Some(wanted) = set.and_then(|set| set.sha256.as_deref()) {
        check(&path, wanted)?;
    }
    Ok(path)
}

fn locate(
    dialect: &Dialect,
    set: Option<&Path>,
    search: Option<&OsStr>,
) -> Result<PathBuf, StartProblem> {
    if let Some(path) = set {
        return if is_program(path) {
            Ok(path.to_owned())
        } else {
            Err(StartProblem::permanent(format!(
                "{} is no program that can be run",
                path.display()
            )))
        };
    }
    std::env::split_paths(search.unwrap_or_default())
        // A relative folder on PATH would make the program depend on where the daemon was started.
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| dialect.programs.iter().map(move |name| folder.join(name)))
        .find(|path| is_program(path))
        .ok_or_else(|| {
            let names = dialect.programs.join(" or ");
            StartProblem::permanent(format!(
                "{names} is not on the daemon's PATH: install it, or set [miners.{}] path in config.toml",
                dialect.name
            ))
        })
}

fn is_program(path: &Path) -> bool {
    path.is_absolute()
        && path
            .metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn check(path: &Path, wanted: &str) -> Result<(), StartProblem> {
    let got = sha256(path)
        .map_err(|e| StartProblem::permanent(format!("{} cannot be read: {e}", path.display())))?;
    if got.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(StartProblem::permanent(format!(
        "{} is not the program that config.toml names: its SHA-256 is {got}",
        path.display()
    )))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut part = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut part)? {
            0 => return Ok(data_encoding::HEXLOWER.encode(&hasher.finalize())),
            n => hasher.update(&part[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{check, locate};
    use crate::miner::adapter;
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    #[test]
    fn a_program_is_found_by_path_or_name_and_must_be_one() {
        let folder =
            std::env::temp_dir().join(format!("mc-prog-{}", crate::sys::random::hex::<6>()));
        std::fs::create_dir(&folder).unwrap();
        let program = folder.join("tt-miner");
        std::fs::write(&program, "abc").unwrap();
        let dialect = adapter::find("tt-miner").ok().unwrap();
        let search = std::env::join_paths([Path::new("/nowhere"), &folder]).unwrap();
        let missing = locate(dialect, None, Some(&search)).unwrap_err();
        assert!(
            missing.permanent && missing.reason.contains("TT-Miner or tt-miner"),
            "{}",
            missing.reason
        );
        assert!(locate(dialect, Some(&program), None).is_err(), "it is not executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(locate(dialect, None, Some(&search)).unwrap(), program);
        assert_eq!(locate(dialect, Some(&program), None).unwrap(), program);
        assert!(
            locate(dialect, Some(&folder), None).is_err()
                && locate(dialect, Some(Path::new("x")), None).is_err()
        );
        assert!(locate(dialect, None, Some(OsStr::new("."))).is_err());
        let abc = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        assert!(check(&program, abc).is_ok());
        assert!(check(&program, &abc.replace('B', "C")).unwrap_err().reason.contains("ba7816bf"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
