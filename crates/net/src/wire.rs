//! What is asked and answered, byte for byte. The page `docs/spec/wire.md` says the same for those who write a peer in another language.

use crate::item::MAX_ENTRIES;
use crate::tree::{GROUP_BYTES, Geometry};
use crate::{Hash, hex, unhex};

/// The version of the protocol that this crate speaks, the only one.
pub const VERSION: u16 = 1;
/// Groups of one request: 8 MiB.
pub const MAX_REQUEST_GROUPS: u32 = 512;
/// Roots that are asked for at once.
pub const MAX_ROOTS: usize = 512;
/// Bytes of a [`Hello`].
pub const HELLO_BYTES: usize = 32;

const MAGIC: &[u8; 8] = b"sip-net\0";

/// What a peer says about itself: fixed bytes, numbers little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The least version that it speaks.
    pub min_version: u16,
    /// The greatest.
    pub max_version: u16,
    /// Bytes of a group.
    pub group_bytes: u32,
    /// Groups that it gives for one request.
    pub max_groups: u32,
    /// Roots that it answers for at once.
    pub max_roots: u32,
    /// Entries of the longest list that it gives.
    pub max_entries: u32,
}

impl Hello {
    /// This crate's.
    pub const OWN: Hello = Hello {
        min_version: VERSION,
        max_version: VERSION,
        group_bytes: GROUP_BYTES as u32,
        max_groups: MAX_REQUEST_GROUPS,
        max_roots: MAX_ROOTS as u32,
        max_entries: MAX_ENTRIES as u32,
    };

    /// As it is sent.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&self.min_version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.max_version.to_le_bytes());
        let numbers = [self.group_bytes, self.max_groups, self.max_roots, self.max_entries];
        for (out, number) in bytes[12..28].chunks_exact_mut(4).zip(numbers) {
            out.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// What was sent; `None` if it is no greeting of this protocol, of whatever version.
    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Option<Hello> {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let hello = Hello {
            min_version: short(8),
            max_version: short(10),
            group_bytes: number(12),
            max_groups: number(16),
            max_roots: number(20),
            max_entries: number(24),
        };
        (bytes[..8] == *MAGIC && hello.min_version <= hello.max_version).then_some(hello)
    }

    /// Whether this crate can speak with such a peer.
    pub fn is_understood(&self) -> bool {
        (self.min_version..=self.max_version).contains(&VERSION) && u64::from(self.group_bytes) == GROUP_BYTES
    }
}

/// What a peer has of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// Nothing.
    Nothing = 0,
    /// Something: the entries of a list but not all blobs, or groups of a blob but not all.
    Some = 1,
    /// All of it.
    All = 2,
}

/// A question. Its answer's length follows from it, so that nothing a peer says about lengths is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who are you?
    Hello,
    /// Which of these have you? Answered by a byte for each, see [`Has`].
    Have {
        /// At most [`MAX_ROOTS`].
        roots: Vec<Hash>,
    },
    /// The hashes of a list's entries.
    List {
        /// The list.
        root: Hash,
        /// Its entries, at most [`MAX_ENTRIES`].
        count: u32,
    },
    /// Groups of a blob, in frames.
    Groups {
        /// The blob.
        root: Hash,
        /// Its size.
        bytes: u64,
        /// The first group.
        first: u32,
        /// How many, at most [`MAX_REQUEST_GROUPS`].
        count: u32,
    },
}

impl Request {
    /// Bytes of the answer; `None` for a question that may not be asked.
    pub fn answer_bytes(&self) -> Option<u64> {
        match self {
            Request::Hello => Some(HELLO_BYTES as u64),
            Request::Have { roots } => (roots.len() <= MAX_ROOTS && !roots.is_empty()).then_some(roots.len() as u64),
            Request::List { count, .. } => (*count as usize <= MAX_ENTRIES).then_some(u64::from(*count) * 32),
            Request::Groups { bytes, first, count, .. } => {
                let geometry = Geometry::new(*bytes)?;
                let end = first.checked_add(*count).filter(|end| *end <= geometry.groups)?;
                let is_allowed = (1..=MAX_REQUEST_GROUPS).contains(count);
                let frames = geometry.frames(*first..end);
                is_allowed.then(|| frames.map(|frame| geometry.frame_bytes(&frame)).sum())
            }
        }
    }

    /// Where it is asked, in HTTP.
    pub fn path(&self) -> String {
        match self {
            Request::Hello => "/sip/hello".into(),
            Request::Have { .. } => "/sip/1/have".into(),
            Request::List { root, count } => format!("/sip/1/list/{}/{count}", hex(root)),
            Request::Groups { root, bytes, first, count } => {
                format!("/sip/1/blob/{}/{bytes}/{first}/{count}", hex(root))
            }
        }
    }

    /// What goes with it.
    pub fn body(&self) -> Option<&[u8]> {
        match self {
            Request::Have { roots } => Some(roots.as_flattened()),
            _ => None,
        }
    }

    /// What was asked, by path and body; `None` for what may not be asked.
    pub fn parse(is_post: bool, path: &str, body: &[u8]) -> Option<Request> {
        let mut parts = path.strip_prefix("/sip/")?.split('/');
        let mut next = || parts.next();
        let request = match (next()?, is_post) {
            ("hello", false) => Request::Hello,
            ("1", _) => match (next()?, is_post) {
                ("have", true) => {
                    let roots: Vec<Hash> = body.chunks(32).map_while(|root| root.try_into().ok()).collect();
                    if roots.len() * 32 != body.len() {
                        return None;
                    }
                    Request::Have { roots }
                }
                ("list", false) => Request::List { root: root(next()?)?, count: u32::try_from(number(next()?)?).ok()? },
                ("blob", false) => Request::Groups {
                    root: root(next()?)?,
                    bytes: number(next()?)?,
                    first: u32::try_from(number(next()?)?).ok()?,
                    count: u32::try_from(number(next()?)?).ok()?,
                },
                _ => return None,
            },
            _ => return None,
        };
        (next().is_none() && (is_post || body.is_empty()) && request.answer_bytes().is_some()).then_some(request)
    }
}

/// Small digits alone: one hash has one form.
fn root(text: &str) -> Option<Hash> {
    unhex(text).filter(|root| hex(root) == text)
}

/// Digits alone, without leading zeros: one number has one form.
fn number(text: &str) -> Option<u64> {
    let is_plain =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> impl Strategy<Value = Request> {
        let root = any::<Hash>();
        prop_oneof![
            Just(Request::Hello),
            proptest::collection::vec(root, 1..20).prop_map(|roots| Request::Have { roots }),
            (root, 0u32..70_000).prop_map(|(root, count)| Request::List { root, count }),
            (root, any::<u64>(), any::<u32>(), any::<u32>(), any::<[u8; 3]>()).prop_map(
                |(root, bytes, first, count, cut)| {
                    Request::Groups {
                        root,
                        bytes: bytes >> (cut[0] % 60),
                        first: first >> (cut[1] % 32),
                        count: count >> (cut[2] % 32),
                    }
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_question_reads_as_it_was_asked_or_is_refused(request in request()) {
            let is_post = request.body().is_some();
            let read = Request::parse(is_post, &request.path(), request.body().unwrap_or_default());
            match request.answer_bytes() {
                Some(bytes) => {
                    prop_assert!(bytes <= 9 << 20);
                    prop_assert_eq!(read, Some(request));
                }
                None => prop_assert_eq!(read, None),
            }
        }

        #[test]
        fn any_text_is_a_question_in_its_only_form_or_none(is_post: bool, path in "(/sip/(1/(list|blob|have)|hello|2)(/[0-9a-f]{64})?(/[0-9+-]{0,12}){0,4}|.{0,40})", body: Vec<u8>) {
            if let Some(request) = Request::parse(is_post, &path, &body) {
                prop_assert_eq!(request.path(), path);
                prop_assert!(request.answer_bytes().is_some());
            }
        }

        #[test]
        fn a_greeting_reads_as_it_was_sent(bytes: [u8; 32], min: u16, max: u16, numbers: [u32; 4]) {
            let hello = Hello {
                min_version: min, max_version: max, group_bytes: numbers[0], max_groups: numbers[1], max_roots: numbers[2], max_entries: numbers[3],
            };
            prop_assert_eq!(Hello::decode(&hello.encode()), (min <= max).then_some(hello));
            prop_assert_eq!(Hello::decode(&bytes), None);
        }
    }

    #[test]
    fn a_peer_is_understood_by_its_range_of_versions() {
        let of = |min_version, max_version| Hello { min_version, max_version, ..Hello::OWN };
        assert!(Hello::OWN.is_understood() && of(0, 9).is_understood());
        assert!(!of(2, 9).is_understood() && !of(0, 0).is_understood());
        assert!(!Hello { group_bytes: 1024, ..Hello::OWN }.is_understood());
    }
}
