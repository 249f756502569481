//! Which token accounts the protocol pays to and takes from.
//!
//! The protocol's token lives under the SPL token program or under Token-2022, whichever its genesis named. Its mint is made by
//! the program itself: no freeze authority, no extension, so that no fee, hook or pause lies on a transfer. A holder's account may carry
//! extensions of its own; those on the list below change nothing about a transfer, every other one is refused. What a transfer brought is
//! measured all the same.

use crate::{Error, Result};

/// Bytes of a token account without extensions.
pub const ACCOUNT_BYTES: usize = 165;
/// Bytes of a multisignature account, which is never a token account.
const MULTISIGNATURE_BYTES: usize = 355;
/// What the byte after the account says of a token account with extensions.
const ACCOUNT_TYPE: u8 = 2;
/// An entry of this type ends the list.
const NOTHING: u16 = 0;
/// Extensions that an account may carry: its owner cannot change (7).
const ALLOWED: [u16; 1] = [7];

/// Checks the size of a token account's data, and its extensions: entries of type and length (u16 little endian) and value.
pub fn check_account(data: &[u8]) -> Result<()> {
    if data.len() == ACCOUNT_BYTES {
        return Ok(());
    }
    if data.len() == MULTISIGNATURE_BYTES || data.get(ACCOUNT_BYTES) != Some(&ACCOUNT_TYPE) {
        return Err(Error::WrongTokenAccount);
    }
    let mut rest = data.get(ACCOUNT_BYTES + 1..).ok_or(Error::WrongTokenAccount)?;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let kind = u16::from_le_bytes([head[0], head[1]]);
        if kind == NOTHING {
            return Ok(());
        }
        if !ALLOWED.contains(&kind) {
            return Err(Error::WrongExtension);
        }
        let length = u16::from_le_bytes([head[2], head[3]]) as usize;
        rest = after.get(length..).ok_or(Error::WrongTokenAccount)?;
    }
    // Fewer than four bytes are no entry; they must be empty.
    if rest.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Error::WrongTokenAccount) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn account(entries: &[(u16, usize)]) -> Vec<u8> {
        let mut data = std::vec![1; ACCOUNT_BYTES];
        data.push(ACCOUNT_TYPE);
        for (kind, length) in entries {
            data.extend(kind.to_le_bytes());
            data.extend((*length as u16).to_le_bytes());
            data.extend(std::vec![3; *length]);
        }
        data
    }

    #[test]
    fn plain_accounts_and_immutable_owners_are_accepted() {
        assert_eq!(check_account(&[0; ACCOUNT_BYTES]), Ok(()));
        assert_eq!(check_account(&account(&[(7, 0)])), Ok(()));
        assert_eq!(check_account(&account(&[(7, 0), (0, 0)])), Ok(()));
    }

    #[test]
    fn every_other_extension_and_shape_is_refused() {
        for kind in (1..=64).filter(|kind| *kind != 7) {
            assert_eq!(check_account(&account(&[(kind, 8)])), Err(Error::WrongExtension), "{kind}");
            assert_eq!(check_account(&account(&[(7, 0), (kind, 8)])), Err(Error::WrongExtension), "{kind}");
        }
        for length in [0, 82, 164, 166, 355] {
            assert_eq!(check_account(&std::vec![1; length]), Err(Error::WrongTokenAccount), "{length}");
        }
        let mut long = account(&[(7, 9)]);
        long.pop();
        assert_eq!(check_account(&long), Err(Error::WrongTokenAccount), "a value that ends too early");
        let mut multisignature = account(&[]);
        multisignature.resize(MULTISIGNATURE_BYTES, 0);
        assert_eq!(check_account(&multisignature), Err(Error::WrongTokenAccount));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut data in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..9) {
            if data.len() > ACCOUNT_BYTES + 2 {
                data[ACCOUNT_BYTES] = ACCOUNT_TYPE;
                data[ACCOUNT_BYTES + 1] = kind;
                data[ACCOUNT_BYTES + 2] = 0;
            }
            if check_account(&data).is_ok() {
                prop_assert!(data.len() >= ACCOUNT_BYTES && data.len() != MULTISIGNATURE_BYTES);
            }
        }
    }
}
