//! A cache on disk of what is known of kinds. It is disposable: whatever is missing or damaged is asked for again.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::time::SystemTime;

/// The most entries that are kept.
const MOST: usize = 256;

/// The value that was stored under a key.
pub(super) fn read(server: &str, key: &str) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(folder()?.join(name(server, key))).ok()?).ok()
}

/// Stores a value; where that cannot be done it is asked for again next time.
pub(super) fn write(server: &str, key: &str, value: &Value) {
    let Some(folder) = folder() else { return };
    let stored = std::fs::create_dir_all(&folder).and_then(|()| {
        // Another process never sees half a file.
        let draft = folder.join(format!("{}.{}", name(server, key), std::process::id()));
        std::fs::write(&draft, value.to_string())?;
        std::fs::rename(draft, folder.join(name(server, key)))
    });
    match stored {
        Ok(()) => trim(&folder),
        Err(error) => tracing::debug!(%error, "the cache cannot be written"),
    }
}

/// `SPINWAY_CACHE`, else the user's cache folder; empty means none.
fn folder() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("SPINWAY_CACHE") {
        return (!given.is_empty()).then(|| PathBuf::from(given));
    }
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|base| !base.is_empty()).map(PathBuf::from);
    Some(base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?.join("spinway"))
}

/// Entries of another server, or of another version of this program, are other entries.
fn name(server: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{} {server} {key}", env!("CARGO_PKG_VERSION")));
    format!("{}.json", crate::object::hex(&digest[..16]))
}

/// Whether a file of the folder is an entry, or the draft of one: nothing else is ever removed.
fn is_entry(name: &str) -> bool {
    let (stem, rest) = name.split_once('.').unwrap_or((name, ""));
    stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit()) && (rest == "json" || rest.starts_with("json."))
}

/// Removes the oldest entries beyond what is kept.
fn trim(folder: &std::path::Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|e| e.file_name().to_str().is_some_and(is_entry));
    let mut entries: Vec<(SystemTime, PathBuf)> =
        entries.filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path()))).collect();
    entries.sort();
    for (_, path) in entries.iter().take(entries.len().saturating_sub(MOST)) {
        let _ = std::fs::remove_file(path);
    }
}
