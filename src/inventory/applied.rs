//! The annotation `spinway.dev/applied`: what we declared at the last apply, since `managedFields` forgets it when
//! someone takes a field from us (design §3).

use crate::fields::{FieldPath, FieldSet};
use crate::object::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// The annotation's name.
pub const ANNOTATION: &str = "spinway.dev/applied";
/// The most bytes its value may have.
const MAX_BYTES: usize = 2048;
/// Bytes of the hash of one path.
const HASH_BYTES: usize = 4;

/// What was declared at an apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the whole object as declared.
    pub digest: String,
    /// Hashes of the declared paths; none when they did not fit.
    paths: Option<BTreeSet<[u8; HASH_BYTES]>>,
}

impl Applied {
    /// Of an object (without the annotation) and the paths it declares.
    pub fn of(value: &Value, set: &FieldSet) -> Self {
        let digest = hex(&Sha256::digest(canonical_text(value)));
        let paths: BTreeSet<_> = set.paths().iter().map(hash).collect();
        let fits = digest.len() + 2 + (paths.len() * HASH_BYTES).div_ceil(3) * 4 <= MAX_BYTES;
        Self { digest, paths: fits.then_some(paths) }
    }

    /// This digest with the paths of another text: what was really sent when a policy left paths out.
    pub fn with_paths_of(&self, sent: &Self) -> Self {
        Self { digest: self.digest.clone(), paths: sent.paths.clone() }
    }

    /// Reads the annotation of a live object.
    pub fn read(live: &Value) -> Option<Self> {
        let text = crate::object::annotation(live, ANNOTATION)?;
        let (digest, paths) = text.split_once(':').map_or((text, None), |(digest, paths)| (digest, Some(paths)));
        let decoded = paths.and_then(|paths| STANDARD_NO_PAD.decode(paths).ok());
        let paths =
            decoded.map(|bytes| bytes.chunks_exact(HASH_BYTES).filter_map(|chunk| chunk.try_into().ok()).collect());
        Some(Self { digest: digest.to_owned(), paths })
    }

    /// The annotation's value.
    pub fn text(&self) -> String {
        match &self.paths {
            Some(paths) => {
                let bytes: Vec<u8> = paths.iter().flatten().copied().collect();
                format!("{}:{}", self.digest, STANDARD_NO_PAD.encode(bytes))
            }
            None => self.digest.clone(),
        }
    }

    /// Whether a path was declared. With the digest alone all paths are proven when it equals the wanted one, none
    /// otherwise (law 4).
    pub fn declared(&self, path: &FieldPath, wanted: &Self) -> bool {
        match &self.paths {
            Some(paths) => paths.contains(&hash(path)),
            None => self.digest == wanted.digest,
        }
    }

    /// How many declared paths are in none of the given sets.
    pub fn missing_from(&self, known: &BTreeSet<FieldPath>) -> usize {
        let Some(paths) = &self.paths else { return 0 };
        let known: BTreeSet<_> = known.iter().map(hash).collect();
        paths.difference(&known).count()
    }
}

fn hash(path: &FieldPath) -> [u8; HASH_BYTES] {
    let mut state = Sha256::new();
    for element in &path.0 {
        // As `fieldsV1` spells it: records of earlier versions are compared with it.
        state.update(element.spelt());
        state.update([0]);
    }
    let digest = state.finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// JSON with sorted keys: the order of keys in a file is no part of what is declared.
pub(crate) fn canonical_text(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::declare;
    use serde_json::json;

    #[test]
    fn the_annotation_remembers_declared_paths() {
        let value = json!({"metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}});
        let made = Applied::of(&value, &declare(&value, None).set);
        let live = json!({"metadata": {"annotations": {ANNOTATION: made.text()}}});
        let read = Applied::read(&live);
        assert_eq!(read.as_ref(), Some(&made));
        assert!(made.declared(&FieldPath::of(&["data", "x"]), &Applied::default()));
        assert!(!made.declared(&FieldPath::of(&["data", "z"]), &Applied::default()));
    }

    #[test]
    fn a_large_object_keeps_the_digest_alone() {
        let data: serde_json::Map<String, Value> = (0..400).map(|n| (format!("k{n}"), json!("v"))).collect();
        let value = json!({"data": data});
        let made = Applied::of(&value, &declare(&value, None).set);
        assert!(made.text().len() <= 64);
        assert!(
            made.declared(&FieldPath::of(&["data", "k1"]), &made)
                && !made.declared(&FieldPath::of(&["data", "k1"]), &Applied::default())
        );
    }

    #[test]
    fn key_order_is_no_part_of_the_digest() {
        let (a, b) = (json!({"a": 1, "b": {"c": 1, "d": 2}}), json!({"b": {"d": 2, "c": 1}, "a": 1}));
        assert_eq!(Applied::of(&a, &FieldSet::default()).digest, Applied::of(&b, &FieldSet::default()).digest);
    }
}
