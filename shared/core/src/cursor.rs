//! Cursors of lists: opaque, and sealed so that nobody can make or change one (row A30).
//!
//! A cursor holds where a list goes on. The seal covers the list with all its filters too, so that a cursor leads
//! nowhere but on in the list that it came from. It grants nothing: whoever shows one may read that list anyway.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::signature;

/// Bytes of a seal.
const SEAL: usize = 32;
/// Cursors that are longer were not made here.
const MAX_TEXT: usize = 2_048;

/// The key of an installation's cursors; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// A key of random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key as it is kept.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The key that was kept; `None` where the text is no key.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey(…)")
    }
}

/// The text is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cursor was changed, or belongs to a list with other filters; ask for the list from its beginning"
)]
pub struct BadCursor;

/// Seals a position in a list. `list` is its name and its filters.
pub fn seal(key: &CursorKey, list: &impl Serialize, position: &impl Serialize) -> String {
    let position = serde_json::to_vec(position).unwrap_or_default();
    let mut sealed = mac(key, list, &position).finalize().into_bytes().to_vec();
    sealed.extend(position);
    BASE64.encode(sealed)
}

/// The position that was sealed for this list.
pub fn open<T: DeserializeOwned>(key: &CursorKey, list: &impl Serialize, text: &str) -> Result<T, BadCursor> {
    if text.len() > MAX_TEXT {
        return Err(BadCursor);
    }
    let sealed = BASE64.decode(text).map_err(|_| BadCursor)?;
    let (seal, position) = sealed.split_at_checked(SEAL).ok_or(BadCursor)?;
    // Compared in constant time.
    mac(key, list, position).verify_slice(seal).map_err(|_| BadCursor)?;
    serde_json::from_slice(position).map_err(|_| BadCursor)
}

/// The list is preceded by its length, so that no list and position read as another list and position.
fn mac(key: &CursorKey, list: &impl Serialize, position: &[u8]) -> Hmac<sha2::Sha256> {
    let list = serde_json::to_vec(list).unwrap_or_default();
    signature::mac(&key.0, &[b"pushway cursor 1", &list.len().to_be_bytes(), &list, position])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::RunId;
    use crate::listing::RunFilter;

    fn id() -> RunId {
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
    }

    fn key(byte: u8) -> CursorKey {
        CursorKey::new([byte; 32])
    }

    #[test]
    fn a30_a_cursor_leads_on_in_its_own_list_only() {
        let web = RunFilter { pipeline: Some("web".parse().unwrap()), ..RunFilter::default() };
        let cursor = seal(&key(1), &("runs", &web), &id());
        assert_eq!(open(&key(1), &("runs", &web), &cursor), Ok(id()));
        assert_eq!(open::<RunId>(&key(1), &("runs", &RunFilter::default()), &cursor), Err(BadCursor));
        assert_eq!(open::<RunId>(&key(1), &("pipelines", &web), &cursor), Err(BadCursor));
        assert_eq!(open::<RunId>(&key(2), &("runs", &web), &cursor), Err(BadCursor));
        // A bare id, as cursors once were, is none.
        assert_eq!(open::<RunId>(&key(1), &("runs", &web), &id().to_string()), Err(BadCursor));
        let kept = CursorKey::from_hex(&key(1).to_hex());
        assert_eq!((kept, CursorKey::from_hex("00")), (Some(key(1)), None));
        assert!(!format!("{:?}", key(1)).contains("01"));
    }

    proptest! {
        #[test]
        fn a30_no_byte_of_a_cursor_can_be_changed(at in 0usize..70, bit in 0u32..8, tail in ".{0,4}") {
            let cursor = seal(&key(1), &"runs", &id());
            let mut bytes = BASE64.decode(&cursor).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(open::<RunId>(&key(1), &"runs", &BASE64.encode(&bytes)), Err(BadCursor));
            bytes.truncate(at);
            prop_assert_eq!(open::<RunId>(&key(1), &"runs", &BASE64.encode(&bytes)), Err(BadCursor));
            if !tail.is_empty() {
                prop_assert_eq!(open::<RunId>(&key(1), &"runs", &(cursor + &tail)), Err(BadCursor));
            }
        }
    }
}
