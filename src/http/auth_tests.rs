use super::{ADDRESSES, Auth, Claim, SESSION_IDLE, SESSIONS, WINDOW};
use std::net::IpAddr;
use std::time::Duration;

use crate::model::time::{Mono, Now, Timestamp};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

const NOW: Now = Now { mono: Mono(0), wall: Timestamp(1_700_000_000_000) };

fn at(time: Duration) -> Now {
    Now { mono: NOW.mono.plus(time), wall: NOW.wall.plus_ms(time.as_millis() as i64) }
}

fn bearer(text: &str) -> Claim<'_> {
    Claim { authorization: Some(text), cookie: None, port: 80, from: HOME }
}

fn status(auth: &Auth, claim: &Claim<'_>, now: Now) -> u16 {
    auth.who(claim, now).err().map_or(200, |fault| fault.code.status())
}

#[test]
fn the_eleventh_wrong_token_in_a_minute_is_too_many_and_the_right_one_always_passes() {
    let (auth, now) = (Auth::new("secret".into()), NOW);
    for _ in 0..10 {
        assert_eq!(status(&auth, &bearer("Bearer wrong"), now), 401);
    }
    assert_eq!(status(&auth, &bearer("Bearer wrong"), now), 429);
    assert_eq!(auth.who(&bearer("Bearer secret"), now), Ok("local:token"));
    assert_eq!(status(&auth, &bearer("Bearer wrong"), now), 429, "the right token resets nothing");
    let other = Claim { from: "10.0.0.2".parse().unwrap(), ..bearer("Bearer wrong") };
    assert_eq!(status(&auth, &other, now), 401);
    assert_eq!(status(&auth, &bearer("Bearer wrong"), at(WINDOW)), 401);
}

#[test]
fn only_the_whole_token_as_bearer_is_right() {
    let (auth, now) = (Auth::new("secret".into()), NOW);
    for (text, ok) in [
        ("Bearer secret", true),
        ("bearer secret", true),
        ("Bearer secre", false),
        ("Bearer secrett", false),
        ("Bearer Secret", false),
        ("Bearer ", false),
        ("Bearer", false),
        ("Basic secret", false),
        ("secret", false),
        ("", false),
    ] {
        assert_eq!(status(&auth, &bearer(text), now) == 200, ok, "{text:?}");
    }
    let nothing = Claim { authorization: None, ..bearer("") };
    assert_eq!(status(&auth, &nothing, now), 401);
    assert_ne!(
        status(&Auth::new(String::new()), &bearer("Bearer "), now),
        200,
        "no token admits nobody"
    );
}

#[test]
fn the_table_of_addresses_is_bounded() {
    let (auth, now) = (Auth::new("secret".into()), NOW);
    for i in 0..2 * ADDRESSES as u32 {
        let from = IpAddr::V4(i.into());
        let _ = auth.who(&Claim { from, ..bearer("Bearer wrong") }, now);
    }
    assert!(super::lock(&auth.wrong).len() <= ADDRESSES);
}

#[test]
fn a_session_is_bound_to_its_cookie_ends_when_idle_and_makes_room_when_old() {
    let (auth, now) = (Auth::new("secret".into()), NOW);
    assert!(auth.begin("wrong", HOME, now).is_err());
    let id = auth.begin("secret", HOME, now).unwrap();
    let text = format!("a=b; miner-80={}", id.text());
    let claim = Claim { authorization: None, cookie: Some(&text), port: 80, from: HOME };
    assert_eq!(auth.who(&claim, now), Ok("local:session"));
    assert_eq!(status(&auth, &Claim { port: 81, ..claim }, now), 401, "another node's cookie");
    let later = SESSION_IDLE - WINDOW;
    assert_eq!(status(&auth, &claim, at(later)), 200);
    assert_eq!(status(&auth, &claim, at(later + SESSION_IDLE - WINDOW)), 200, "use keeps it alive");
    for i in 0..SESSIONS as u32 {
        auth.begin("secret", HOME, at(later + SESSION_IDLE + i * WINDOW / 64)).unwrap();
    }
    assert_eq!(
        status(&auth, &claim, at(later + SESSION_IDLE)),
        401,
        "64 newer ones took its place"
    );
    let id = auth.begin("secret", HOME, at(later + SESSION_IDLE + WINDOW)).unwrap();
    let text = format!("miner-80={}", id.text());
    let claim = Claim { authorization: None, cookie: Some(&text), port: 80, from: HOME };
    auth.end(&claim);
    assert_eq!(status(&auth, &claim, now), 401);
    let id = auth.begin("secret", HOME, now).unwrap();
    let text = format!("miner-80={}", id.text());
    let claim = Claim { cookie: Some(&text), ..claim };
    assert_eq!(status(&auth, &claim, at(SESSION_IDLE)), 401, "idle for too long");
}

#[test]
fn sessions_are_listed_and_ended_by_a_name_that_opens_nothing() {
    let auth = Auth::new("secret".into());
    let first = auth.begin("secret", HOME, NOW).unwrap();
    let second = auth.begin("secret", "10.0.0.2".parse().unwrap(), at(WINDOW)).unwrap();
    let text = format!("miner-80={}", first.text());
    let claim = Claim { authorization: None, cookie: Some(&text), port: 80, from: HOME };
    assert_eq!(status(&auth, &claim, at(2 * WINDOW)), 200);
    let rows = auth.sessions(&claim, at(3 * WINDOW));
    let seen: Vec<_> =
        rows.iter().map(|r| (r.created_at, r.last_used, r.from.to_string(), r.current)).collect();
    let time = |n: u32| at(n * WINDOW).wall;
    assert_eq!(
        seen,
        [(time(1), time(1), "10.0.0.2".into(), false), (time(0), time(2), "10.0.0.1".into(), true)]
    );
    assert!(!first.text().contains(&rows[1].id) && !second.text().contains(&rows[0].id));
    let named = format!("miner-80={}", rows[1].id);
    assert_eq!(status(&auth, &Claim { cookie: Some(&named), ..claim }, NOW), 401);

    let life =
        auth.life(&Claim { cookie: Some(&format!("miner-80={}", second.text())), ..claim }, NOW);
    let ended = || life.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected);
    assert!(!ended());
    auth.end_one(&rows[0].id).unwrap();
    assert!(ended(), "its streams hear of it");
    assert_eq!(auth.end_one(&rows[0].id).unwrap_err().code.status(), 404);
    for _ in 0..3 {
        auth.begin("secret", HOME, NOW).unwrap();
    }
    assert_eq!(auth.end_others(&claim), 3);
    assert_eq!(status(&auth, &claim, at(3 * WINDOW)), 200, "the one that asks stays");
    assert_eq!(auth.end_others(&bearer("Bearer secret")), 1, "the token has none of its own");
    let life = auth.life(&bearer("Bearer secret"), NOW);
    assert_eq!(life.try_recv(), Err(crossbeam_channel::TryRecvError::Empty));
}
