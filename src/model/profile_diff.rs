//! What differs between two profiles, in words.
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::profile::{DeployCheck, DeployStatus, Profile};
use super::profile_rules::redact;

/// What would become of `stored` when `new` took its place.
#[must_use]
pub fn check(stored: Option<&Profile>, new: &Profile) -> DeployCheck {
    let Some(stored) = stored else {
        return DeployCheck { status: DeployStatus::New, changes: Vec::new() };
    };
    let (before, after) = (fields(stored), fields(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes: Vec<String> = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| format!("{name}: {} → {}", said(before.get(name)), said(after.get(name))))
        .collect();
    // Both are hidden above.
    if stored.config.password.is_some()
        && new.config.password.is_some()
        && stored.config.password != new.config.password
    {
        changes.push("password: another one".to_owned());
    }
    let status = if changes.is_empty() { DeployStatus::Same } else { DeployStatus::Changed };
    DeployCheck { status, changes }
}

/// Everything that a profile says, the fields of its config beside its name and type.
fn fields(profile: &Profile) -> Map<String, Value> {
    let shown = redact(profile);
    let Ok(Value::Object(mut all)) = serde_json::to_value(&shown.config) else {
        return Map::new();
    };
    all.insert("name".to_owned(), shown.name.into());
    all.insert("minerType".to_owned(), shown.miner_type.into());
    all
}

fn said(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            all.iter().map(|one| said(Some(one))).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{DeployStatus, Profile, check};

    fn profile(config: &serde_json::Value) -> Profile {
        let json =
            serde_json::json!({"id": "a", "name": "a", "minerType": "xmrig", "config": config});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn each_field_that_differs_is_named_and_a_password_is_not_shown() {
        let old = profile(&serde_json::json!({"pool": "a:1", "password": "one", "threads": 2}));
        let new = profile(&serde_json::json!({"pool": "b:1", "password": "two", "tls": false,
            "pools": ["c:1", "d:1"]}));
        let found = check(Some(&old), &new);
        assert_eq!(found.status, DeployStatus::Changed);
        assert_eq!(
            found.changes,
            [
                "pool: a:1 → b:1",
                "pools: – → c:1 d:1",
                "threads: 2 → –",
                "tls: – → false",
                "password: another one"
            ]
        );
        assert_eq!(check(Some(&old), &old).status, DeployStatus::Same);
        assert_eq!(check(None, &old).status, DeployStatus::New);
        let none = profile(&serde_json::json!({"pool": "a:1", "threads": 2}));
        assert_eq!(check(Some(&none), &old).changes, ["password: – → ***"]);
    }
}
