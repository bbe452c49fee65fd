//! Each row of the audit log holds a digest of itself and of the row before, so that none can be altered, taken out or
//! put in between without all that follow being made anew.
use sha2::{Digest, Sha256};

use crate::model::audit::AuditRow;

/// The digest of `row` behind a row whose digest is `before`; zeros stand before the first.
#[must_use]
pub fn next(before: &[u8; 32], row: &AuditRow) -> [u8; 32] {
    // Taken apart whole, so that a new column cannot be forgotten here.
    let AuditRow { at, who, key, what, result, command, signed } = row;
    let mut digest = Sha256::new().chain_update(before).chain_update(at.0.to_be_bytes());
    let parts = [
        who.as_bytes(),
        key.as_ref().map_or(&[], |k| &k.0[..]),
        what.as_bytes(),
        result.as_bytes(),
        command.as_bytes(),
        signed.as_ref().map_or(&[], |s| &s.envelope[..]),
        signed.as_ref().map_or(&[], |s| &s.signer.0[..]),
    ];
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
