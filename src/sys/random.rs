//! Random bytes from the operating system.

/// # Panics
/// When the operating system has no randomness to give: no key made then could be trusted.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    getrandom::fill(&mut out).expect("the operating system gives random bytes");
    out
}

/// A random word of lower-case hex, two digits a byte.
#[must_use]
pub fn hex<const N: usize>() -> String {
    data_encoding::HEXLOWER.encode(&bytes::<N>())
}
