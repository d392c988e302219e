//! A directory as a tree.

use super::Error;
use crate::desired::{CONFIG_FILE, Entry, MAX_FILE_BYTES, MAX_TREE_BYTES, Shares, Tree, config};
use std::path::Path;

/// Reads a directory. Links are recorded and not followed; nested repositories are not read.
pub(super) fn read(root: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let shares = shares(root);
    let mut total = 0;
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = |error| Error::Directory { path: folder.clone(), error };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let is_text = name.to_str().is_some();
            let name = name.to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(failed)?;
            if (name == ".git" && kind.is_dir()) || !tree.counts(&path, &shares) {
                continue;
            }
            if !is_text && (kind.is_dir() || Tree::wants(&name)) {
                tree.nameless(path);
                continue;
            }
            if path == CONFIG_FILE && kind.is_dir() {
                tree.entries.insert(path, Entry::Unreadable("it is a folder".to_owned()));
                continue;
            }
            if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap_or_default();
                tree.entries.insert(path, Entry::Symlink(target.to_string_lossy().into_owned()));
            } else if kind.is_dir() {
                if entry.path().join(".git").exists() {
                    tree.entries.insert(path, Entry::Submodule);
                } else {
                    folders.push((entry.path(), format!("{path}/")));
                    tree.folders.insert(path);
                }
            } else if kind.is_file() && Tree::wants(&name) {
                let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
                let bytes = bytes.min(MAX_FILE_BYTES);
                // What a tenant has is bounded by its own limits.
                if shares.owner(&path).is_none() {
                    total += bytes;
                }
                tree.share(path, bytes, &shares, || file(&entry.path()));
            }
            if total > MAX_TREE_BYTES {
                return Err(Error::TooLarge);
            }
        }
    }
    Ok(tree)
}

/// What each owner of the directory may have, as its Config says; one that cannot be used is told later.
fn shares(root: &Path) -> Shares {
    let file = file(&root.join(CONFIG_FILE));
    Shares::new(config(&Tree::of([(CONFIG_FILE.to_owned(), file)].into())).ok().flatten())
}

fn file(path: &Path) -> Entry {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE_BYTES => Entry::TooLarge(metadata.len()),
        Ok(_) => std::fs::read(path).map_or_else(|error| Entry::Unreadable(error.to_string()), Entry::File),
        Err(error) => Entry::Unreadable(error.to_string()),
    }
}
