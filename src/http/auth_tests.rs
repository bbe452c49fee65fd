use super::{ADDRESSES, Auth, Claim, SESSION_IDLE, SESSIONS, WINDOW};
use std::net::IpAddr;
use std::time::Instant;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn bearer(text: &str) -> Claim<'_> {
    Claim { authorization: Some(text), cookie: None, port: 80, from: HOME }
}

fn status(auth: &Auth, claim: &Claim<'_>, now: Instant) -> u16 {
    auth.who(claim, now).err().map_or(200, |fault| fault.code.status())
}

#[test]
fn the_eleventh_wrong_token_in_a_minute_is_too_many_and_the_right_one_always_passes() {
    let (auth, now) = (Auth::new("secret".into()), Instant::now());
    for _ in 0..10 {
        assert_eq!(status(&auth, &bearer("Bearer wrong"), now), 401);
    }
    assert_eq!(status(&auth, &bearer("Bearer wrong"), now), 429);
    assert_eq!(auth.who(&bearer("Bearer secret"), now), Ok("local:token"));
    assert_eq!(status(&auth, &bearer("Bearer wrong"), now), 429, "the right token resets nothing");
    let other = Claim { from: "10.0.0.2".parse().unwrap(), ..bearer("Bearer wrong") };
    assert_eq!(status(&auth, &other, now), 401);
    assert_eq!(status(&auth, &bearer("Bearer wrong"), now + WINDOW), 401);
}

#[test]
fn only_the_whole_token_as_bearer_is_right() {
    let (auth, now) = (Auth::new("secret".into()), Instant::now());
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
    let (auth, now) = (Auth::new("secret".into()), Instant::now());
    for i in 0..2 * ADDRESSES as u32 {
        let from = IpAddr::V4(i.into());
        let _ = auth.who(&Claim { from, ..bearer("Bearer wrong") }, now);
    }
    assert!(super::lock(&auth.wrong).len() <= ADDRESSES);
}

#[test]
fn a_session_is_bound_to_its_cookie_ends_when_idle_and_makes_room_when_old() {
    let (auth, now) = (Auth::new("secret".into()), Instant::now());
    assert!(auth.begin("wrong", HOME, now).is_err());
    let id = auth.begin("secret", HOME, now).unwrap();
    let text = format!("a=b; miner-80={}", id.text());
    let claim = Claim { authorization: None, cookie: Some(&text), port: 80, from: HOME };
    assert_eq!(auth.who(&claim, now), Ok("local:session"));
    assert_eq!(status(&auth, &Claim { port: 81, ..claim }, now), 401, "another node's cookie");
    let later = now + SESSION_IDLE - WINDOW;
    assert_eq!(status(&auth, &claim, later), 200);
    assert_eq!(status(&auth, &claim, later + SESSION_IDLE - WINDOW), 200, "use keeps it alive");
    for i in 0..SESSIONS as u32 {
        auth.begin("secret", HOME, later + SESSION_IDLE + i * WINDOW / 64).unwrap();
    }
    assert_eq!(status(&auth, &claim, later + SESSION_IDLE), 401, "64 newer ones took its place");
    let id = auth.begin("secret", HOME, later + SESSION_IDLE + WINDOW).unwrap();
    let text = format!("miner-80={}", id.text());
    let claim = Claim { authorization: None, cookie: Some(&text), port: 80, from: HOME };
    auth.end(&claim);
    assert_eq!(status(&auth, &claim, now), 401);
    let id = auth.begin("secret", HOME, now).unwrap();
    let text = format!("miner-80={}", id.text());
    let claim = Claim { cookie: Some(&text), ..claim };
    assert_eq!(status(&auth, &claim, now + SESSION_IDLE), 401, "idle for too long");
}
