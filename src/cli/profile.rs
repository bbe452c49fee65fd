//! `profile …`: what to mine.
use std::path::Path;

use serde_json::json;

use super::args::ProfileVerb;
use super::client::segment;
use super::exit::{Exit, Failure};
use super::peer::told;
use super::table::{Align, Table};
use super::{Ended, Session, units};
use crate::model::fault::{Code, Fault};
use crate::model::profile::Profile;

pub fn run(verb: ProfileVerb, session: &mut Session) -> Ended {
    match verb {
        ProfileVerb::List(_) => list(session),
        ProfileVerb::Show(show) => self::show(&show.id, session),
        ProfileVerb::Add(add) => {
            let mut profile = read(&add.file)?;
            if profile.name.is_empty() {
                profile.name = stem(&add.file);
            }
            let client = session.client()?;
            let reply = client.ask("POST", "/profiles", Some(&json!(profile))).map_err(by_line)?;
            let added: Profile = reply.read()?;
            told(&reply, &format!("Added profile {} ({}).", added.id, added.name), session)
        }
        ProfileVerb::Edit(edit) => {
            let profile = read(&edit.file)?;
            let path = format!("/profiles/{}", segment(&edit.id));
            let reply =
                session.client()?.ask("PUT", &path, Some(&json!(profile))).map_err(by_line)?;
            told(&reply, &format!("Replaced profile {}.", edit.id), session)
        }
        ProfileVerb::Remove(remove) => {
            let path = format!("/profiles/{}", segment(&remove.id));
            let reply = session.client()?.ask("DELETE", &path, None)?;
            told(&reply, &format!("Removed profile {}.", remove.id), session)
        }
    }
}

/// Fields that are wrong come in one sentence, `config.pool: …; config.wallet: …`: a line each is easier to read.
fn by_line(failure: Failure) -> Failure {
    let Failure::Fault(mut fault) = failure else { return failure };
    let names_field = |part: &str| {
        part.split_once(": ").is_some_and(|(field, _)| {
            field.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'[' | b']'))
        })
    };
    if fault.code == Code::Invalid && fault.message.split("; ").all(names_field) {
        fault.message = fault.message.replace("; ", "\n");
    }
    Failure::Fault(fault)
}

/// The profile in a file. What is wrong in it is told with line and column.
fn read(file: &Path) -> Result<Profile, Failure> {
    let shown = file.display();
    let wrong = |message: String| Failure::Fault(Fault::new(Code::Invalid, message));
    let text =
        std::fs::read_to_string(file).map_err(|e| wrong(format!("cannot read {shown}: {e}")))?;
    serde_json::from_str(&text).map_err(|e| wrong(format!("{shown} is no profile: {e}")))
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn list(session: &mut Session) -> Ended {
    let reply = session.client()?.get("/profiles")?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
        return Ok(Exit::Done);
    }
    let profiles: Vec<Profile> = reply.read()?;
    if profiles.is_empty() {
        session.screen.line("No profiles yet: miner-cli profile add FILE.json")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("ID", Align::Left),
        ("NAME", Align::Left),
        ("MINER", Align::Left),
        ("ALGORITHM", Align::Left),
        ("POOL", Align::Left),
        ("WALLET", Align::Left),
    ]);
    for profile in &profiles {
        let config = &profile.config;
        let or_none = |text: Option<&str>| text.unwrap_or(units::NONE).to_owned();
        table.row([
            profile.id.as_str().into(),
            profile.name.as_str().into(),
            profile.miner_type.as_str().into(),
            or_none(config.algo.as_deref().or(config.coin.as_deref())).into(),
            or_none(config.pool.as_deref()).into(),
            short(&or_none(config.wallet.as_deref())).into(),
        ]);
    }
    session.screen.table(&table)?;
    Ok(Exit::Done)
}

/// Beginning and end of a wallet address: enough to recognise it.
fn short(wallet: &str) -> String {
    let all: Vec<char> = wallet.chars().collect();
    match all.len() {
        0..=20 => wallet.to_owned(),
        n => format!(
            "{}…{}",
            all[..10].iter().collect::<String>(),
            all[n - 8..].iter().collect::<String>()
        ),
    }
}

/// JSON in both forms: what is printed is what `profile edit` takes.
fn show(id: &str, session: &mut Session) -> Ended {
    let reply = session.client()?.get(&format!("/profiles/{}", segment(id)))?;
    if session.globals.json {
        session.screen.body(&reply.text)?;
    } else {
        session.screen.json(&reply.read::<Profile>()?)?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_wallet_is_shortened_in_the_middle() {
        assert_eq!(
            short("48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5"),
            "48edfHu7V9…zKt52XU5"
        );
        assert_eq!(short("-"), "-");
    }
}
