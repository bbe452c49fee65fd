//! When a certificate is good, read from its bytes.
use proptest::prelude::{ProptestConfig, any, proptest};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::validity::{Validity, of};
use crate::model::time::Timestamp;

fn certificate(from: i32, until: i32) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["rig".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 2, 3);
    params.not_after = date_time_ymd(until, 12, 31);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_dates_of_a_certificate_are_read_in_both_forms() {
    // Years from 2050 on are written with four digits.
    for (from, until) in [(2020, 2030), (2049, 2050), (2060, 2999), (1975, 1999)] {
        let valid = of(&certificate(from, until)).unwrap();
        assert_eq!(valid.from, at(&format!("{from}-02-03T00:00:00Z")));
        assert_eq!(valid.until, at(&format!("{until}-12-31T00:00:00Z")));
    }
    assert_eq!(of(&certificate(1960, 2020)).unwrap().from, Timestamp(0));
}

#[test]
fn a_certificate_is_good_from_its_first_moment_to_its_last() {
    let valid = Validity { from: Timestamp(1000), until: Timestamp(2000) };
    for (now, good) in [(999, false), (1000, true), (2000, true), (2001, false)] {
        assert_eq!(valid.check(Timestamp(now)).is_ok(), good, "{now}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_no_certificate_is_none(bytes in any::<Vec<u8>>(), cut in 0_usize..200, flip in any::<u8>()) {
        let _ = of(&bytes);
        let mut der = certificate_once().to_vec();
        der[cut] = flip;
        let _ = of(&der);
        assert_eq!(of(&der[..cut]), None);
    }
}

fn certificate_once() -> &'static [u8] {
    static ONCE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| certificate(2020, 2030))
}
