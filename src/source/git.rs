//! A Git revision as a tree, from the object database: no work tree, no hook, no filter, no submodule.

use super::{Error, Repository};
use crate::desired::{CONFIG_FILE, Entry, MAX_FILE_BYTES, MAX_TREE_BYTES, Tree};
use crate::object::{Revision, Untrusted};
use git2::{ObjectType, Oid};
use std::path::Path;

/// The most files and folders of a revision that are looked at: a few objects of Git may stand for any number of paths.
const MAX_ENTRIES: usize = 500_000;
/// The deepest folder that is read.
const MAX_DEPTH: usize = 64;

/// Reads a revision of the repository that a directory belongs to.
pub(super) fn read(directory: &Path, revision: &str) -> Result<Repository, Error> {
    let failed = |error: git2::Error| {
        Error::Git(format!("revision `{}`: {}", Untrusted::new(revision).terminal(), error.message()))
    };
    let repository = git2::Repository::discover(directory).map_err(failed)?;
    let commit = repository.revparse_single(revision).and_then(|object| object.peel_to_commit()).map_err(failed)?;
    let mut tree = commit.tree().map_err(failed)?;
    let inside = repository
        .workdir()
        .and_then(|root| directory.strip_prefix(root.canonicalize().ok()?).ok().map(Path::to_owned));
    let inside = inside.unwrap_or_default();
    // The nearest folder with a Config, from the directory upwards, as that revision has it.
    let holds_config = |folder: &&Path| tree.get_path(&folder.join(CONFIG_FILE)).is_ok();
    let root = inside.ancestors().find(holds_config).unwrap_or(&inside).to_owned();
    if root != Path::new("") {
        let entry = tree.get_path(&root).map_err(failed)?;
        tree = entry.to_object(&repository).and_then(|o| o.peel_to_tree()).map_err(failed)?;
    }
    let source = named(&repository, &root);
    read_tree(&repository, &commit, &tree, source)
}

/// The largest file that is read from a branch, in bytes: a snapshot of a large environment.
const MAX_BRANCH_FILE: usize = 256 << 20;

/// Reads one file from the newest commit of a branch, here or of the remote `origin`.
pub(super) fn file_of_branch(directory: &Path, branch: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let failed = |error: git2::Error| Error::Git(error.message().to_owned());
    let repository = git2::Repository::discover(directory).map_err(failed)?;
    let names = [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")];
    let Some(reference) = names.iter().find_map(|name| repository.find_reference(name).ok()) else { return Ok(None) };
    let tree = reference.peel_to_tree().map_err(failed)?;
    let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
    let blob = entry.to_object(&repository).and_then(|object| object.peel_to_blob()).map_err(failed)?;
    if blob.size() > MAX_BRANCH_FILE {
        return Err(Error::TooLarge);
    }
    Ok(Some(blob.content().to_vec()))
}

/// Reads a folder of a commit in a repository that was fetched from a URL.
pub(super) fn read_commit(
    repository: &git2::Repository,
    commit: &git2::Commit<'_>,
    folder: &Path,
    url: &str,
) -> Result<Repository, Error> {
    let failed = |error: git2::Error| Error::Git(format!("revision {}: {}", commit.id(), error.message()));
    let mut tree = commit.tree().map_err(failed)?;
    if folder != Path::new("") {
        let entry = tree.get_path(folder).and_then(|entry| entry.to_object(repository));
        tree = entry.and_then(|object| object.peel_to_tree()).map_err(failed)?;
    }
    read_tree(repository, commit, &tree, join(url, folder))
}

/// How a revision stands to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the other one, or descends from it.
    Newer,
    /// The other one descends from it.
    Older,
    /// Neither descends from the other.
    Aside,
    /// It cannot be told: the other one is not in the repository, or its history is not whole.
    Unknown,
}

/// How a revision, by its full id, stands to another one.
pub(super) fn standing(directory: &Path, revision: &str, other: &str) -> Result<Standing, Error> {
    let failed = |error: git2::Error| Error::Git(error.message().to_owned());
    let repository = git2::Repository::discover(directory).map_err(failed)?;
    let this = repository.find_commit(Oid::from_str(revision).map_err(failed)?).map_err(failed)?.id();
    let Some(other) = Oid::from_str(other).ok().filter(|other| repository.find_commit(*other).is_ok()) else {
        return Ok(Standing::Unknown);
    };
    let descends = |from, to| repository.graph_descendant_of(from, to).map_err(failed);
    Ok(if this == other || descends(this, other)? {
        Standing::Newer
    } else if descends(other, this)? {
        Standing::Older
    } else if repository.is_shallow() {
        Standing::Unknown
    } else {
        Standing::Aside
    })
}

fn read_tree(
    repository: &git2::Repository,
    commit: &git2::Commit<'_>,
    tree: &git2::Tree<'_>,
    source: String,
) -> Result<Repository, Error> {
    let mut made = Tree::default();
    let mut total = 0;
    let mut seen = 0;
    let walked = walk(repository, tree, "", 0, &mut made, &mut total, &mut seen);
    walked.map_err(|error| Error::Git(format!("revision {}: {}", commit.id(), error.message())))?;
    if total > MAX_TREE_BYTES {
        return Err(Error::TooLarge);
    }
    let subject = commit.summary().ok().flatten().unwrap_or_default().to_owned();
    let author = commit.author().name().unwrap_or_default().to_owned();
    let revision =
        Revision { id: commit.id().to_string(), subject: Untrusted::new(subject), author: Untrusted::new(author) };
    Ok(Repository { tree: made, revision: Some(revision), source })
}

fn walk(
    repository: &git2::Repository,
    tree: &git2::Tree<'_>,
    prefix: &str,
    depth: usize,
    made: &mut Tree,
    total: &mut u64,
    seen: &mut usize,
) -> Result<(), git2::Error> {
    for entry in tree {
        *seen += 1;
        if *seen > MAX_ENTRIES {
            return Err(git2::Error::from_str("it has more than 500,000 files and folders"));
        }
        let is_text = std::str::from_utf8(entry.name_bytes()).is_ok();
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        let path = format!("{prefix}{name}");
        if !is_text && (entry.kind() == Some(ObjectType::Tree) || Tree::wants(&name)) {
            made.nameless(path);
            continue;
        }
        if path == CONFIG_FILE && entry.kind() == Some(ObjectType::Tree) {
            made.entries.insert(path, Entry::Unreadable("it is a folder".to_owned()));
            continue;
        }
        // A hostile tree may hold names that mean something to a file system.
        if matches!(name.as_str(), "." | ".." | "") || name.contains(['/', '\\', '\0']) {
            made.entries.insert(path, Entry::Unreadable("its name is no file name".to_owned()));
            continue;
        }
        match (entry.kind(), entry.filemode()) {
            (_, 0o120_000) => {
                made.entries.insert(path, Entry::Symlink);
            }
            (Some(ObjectType::Commit), _) => {
                made.entries.insert(path, Entry::Submodule);
            }
            (Some(ObjectType::Tree), _) if depth < MAX_DEPTH => {
                let below = entry.to_object(repository)?.peel_to_tree()?;
                walk(repository, &below, &format!("{path}/"), depth + 1, made, total, seen)?;
            }
            (Some(ObjectType::Tree), _) => {
                made.entries.insert(
                    format!("{path}.yaml"),
                    Entry::Unreadable(format!("its folder is deeper than {MAX_DEPTH}")),
                );
            }
            (Some(ObjectType::Blob), _) if Tree::wants(&name) && *total <= MAX_TREE_BYTES => {
                let size = repository.odb()?.read_header(entry.id())?.0 as u64;
                let file = if size > MAX_FILE_BYTES {
                    Entry::TooLarge(size)
                } else {
                    Entry::File(repository.find_blob(entry.id())?.content().to_vec())
                };
                *total += size.min(MAX_FILE_BYTES);
                made.add(path, file);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The identity of a folder of a checkout that has a remote.
pub(super) fn source(root: &Path) -> Option<String> {
    let repository = git2::Repository::discover(root).ok()?;
    let inside = root.strip_prefix(repository.workdir()?.canonicalize().ok()?).ok()?.to_owned();
    remote(&repository).map(|url| join(&url, &inside))
}

fn named(repository: &git2::Repository, root: &Path) -> String {
    let base = remote(repository).or_else(|| Some(repository.workdir()?.canonicalize().ok()?.display().to_string()));
    join(&base.unwrap_or_default(), root)
}

pub(super) fn join(base: &str, inside: &Path) -> String {
    if inside == Path::new("") {
        base.to_owned()
    } else {
        format!("{}/{}", base.trim_end_matches('/'), inside.display())
    }
}

/// The URL of the remote, without credentials.
fn remote(repository: &git2::Repository) -> Option<String> {
    let remote = repository.find_remote("origin").ok()?;
    let url = remote.url().ok()?.to_owned();
    Some(match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => url,
    })
}
