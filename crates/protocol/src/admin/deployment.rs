//! Who deployed the program: what loader v3 writes into a program's data account.

/// The address of loader v3, which deploys programs that can be upgraded.
pub const LOADER: [u8; 32] = [
    2, 168, 246, 145, 78, 136, 161, 176, 226, 16, 21, 62, 247, 99, 174, 43, 0, 194, 185, 61, 22, 193, 36, 210, 192, 83,
    122, 16, 4, 128, 0, 0,
];

/// Before the code: the state's number (4, little-endian), the slot of the deployment (8), whether there is an upgrade
/// authority (1), and its address (32).
const HEADER_BYTES: usize = 45;
/// The state's number of a program's data.
const PROGRAM_DATA: [u8; 4] = [3, 0, 0, 0];
const AUTHORITY_OFFSET: usize = 13;

/// The upgrade authority in the bytes of a program's data account; `None` where the program cannot be upgraded any more, or the
/// bytes are something else.
#[inline(always)]
pub fn upgrade_authority(data: &[u8]) -> Option<&[u8; 32]> {
    let header: &[u8; HEADER_BYTES] = data.first_chunk()?;
    let is_held = header[..PROGRAM_DATA.len()] == PROGRAM_DATA && header[AUTHORITY_OFFSET - 1] == 1;
    if is_held { header[AUTHORITY_OFFSET..].first_chunk() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(state: u8, has_authority: u8) -> Vec<u8> {
        [&[state, 0, 0, 0][..], &7u64.to_le_bytes(), &[has_authority], &[9; 32], b"code"].concat()
    }

    #[test]
    fn only_a_programs_data_with_an_authority_names_one() {
        assert_eq!(upgrade_authority(&data(3, 1)), Some(&[9; 32]));
        // An immutable program, another state of the loader, and too few bytes.
        assert_eq!(upgrade_authority(&data(3, 0)), None);
        assert_eq!(upgrade_authority(&data(1, 1)), None);
        assert_eq!(upgrade_authority(&data(3, 1)[..HEADER_BYTES - 1]), None);
        assert_eq!(upgrade_authority(b""), None);
    }
}
