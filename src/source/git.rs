//! A Git revision as a tree, from the object database: no work tree, no hook, no filter, no submodule.

use super::{Error, Repository};
use crate::desired::{CONFIG_FILE, Entry, MAX_FILE_BYTES, MAX_TREE_BYTES, Shares, Tree, config};
use crate::object::{Revision, Untrusted};
use git2::{ObjectType, Oid};
use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

/// The most files and folders of a revision that are looked at: a few objects of Git may stand for any number of paths.
const MAX_ENTRIES: usize = 500_000;
/// The longest target of a link that is looked at, in bytes: as long as a path may be.
const MAX_LINK: usize = 4096;
/// The deepest folder that is read.
const MAX_DEPTH: usize = 64;

/// Reads a revision of the repository that a directory belongs to.
pub(super) fn read(directory: &Path, revision: &str) -> Result<Repository, Error> {
    read_folder(directory, revision, false)
}

/// The same; a folder that the revision does not have is an empty one.
pub(super) fn read_base(directory: &Path, revision: &str) -> Result<Repository, Error> {
    read_folder(directory, revision, true)
}

fn read_folder(directory: &Path, revision: &str, may_lack: bool) -> Result<Repository, Error> {
    let failed = |error: git2::Error| {
        Error::Git(format!("revision `{}`: {}", Untrusted::new(revision).terminal(), error.message()))
    };
    let repository = git2::Repository::discover(directory).map_err(failed)?;
    let known = repository.resolve_reference_from_short_name(revision).ok().and_then(|reference| reference.target());
    if let Some(id) = known.or_else(|| Oid::from_str(revision).ok()) {
        whole(&repository, id).map_err(failed)?;
    }
    let commit = repository.revparse_single(revision).and_then(|object| object.peel_to_commit()).map_err(failed)?;
    whole(&repository, commit.tree_id()).map_err(failed)?;
    let mut tree = commit.tree().map_err(failed)?;
    let inside = repository
        .workdir()
        .and_then(|root| directory.strip_prefix(root.canonicalize().ok()?).ok().map(Path::to_owned));
    let inside = inside.unwrap_or_default();
    // The nearest folder with a Config, from the directory upwards, as that revision has it.
    let holds_config = |folder: &&Path| find(&repository, &tree, &folder.join(CONFIG_FILE)).is_ok();
    let root = inside.ancestors().find(holds_config).unwrap_or(&inside).to_owned();
    let source = named(&repository, &root);
    if root != Path::new("") {
        let id = match find(&repository, &tree, &root) {
            Err(error) if may_lack && error.code() == git2::ErrorCode::NotFound => {
                let revision = Some(revision_of(&commit));
                return Ok(Repository { tree: Tree::default(), revision, source });
            }
            found => found.map_err(failed)?,
        };
        tree = repository.find_tree(id).map_err(failed)?;
    }
    read_tree(&repository, &commit, &tree, source)
}

fn revision_of(commit: &git2::Commit<'_>) -> Revision {
    let subject = commit.summary().ok().flatten().unwrap_or_default().to_owned();
    let author = commit.author().name().unwrap_or_default().to_owned();
    Revision { id: commit.id().to_string(), subject: Untrusted::new(subject), author: Untrusted::new(author) }
}

/// The largest file that is read from a branch, in bytes: a snapshot of a large environment.
const MAX_BRANCH_FILE: usize = 256 << 20;

/// Reads one file from the newest commit of a branch, here or of the remote `origin`.
pub(super) fn file_of_branch(directory: &Path, branch: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let failed = |error: git2::Error| Error::Git(error.message().to_owned());
    let repository = git2::Repository::discover(directory).map_err(failed)?;
    let names = [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")];
    let Some(reference) = names.iter().find_map(|name| repository.find_reference(name).ok()) else { return Ok(None) };
    if let Some(id) = reference.target() {
        whole(&repository, id).map_err(failed)?;
    }
    let commit = reference.peel_to_commit().map_err(failed)?;
    whole(&repository, commit.tree_id()).map_err(failed)?;
    let tree = commit.tree().map_err(failed)?;
    let Ok(id) = find(&repository, &tree, Path::new(path)) else { return Ok(None) };
    let blob = repository.find_blob(id).map_err(failed)?;
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
        tree = find(repository, &tree, folder).and_then(|id| repository.find_tree(id)).map_err(failed)?;
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
    let failed = |error: git2::Error| Error::Git(format!("revision {}: {}", commit.id(), error.message()));
    let mut walk =
        Walk { repository, shares: Shares::default(), made: Tree::default(), total: 0, seen: 0, known: HashSet::new() };
    walk.shares = walk.shares(tree).map_err(failed)?;
    walk.folder(tree, "", 0).map_err(failed)?;
    if walk.total > MAX_TREE_BYTES {
        return Err(Error::TooLarge);
    }
    Ok(Repository { tree: walk.made, revision: Some(revision_of(commit)), source })
}

/// A tree of Git that is being read.
struct Walk<'a> {
    repository: &'a git2::Repository,
    shares: Shares,
    made: Tree,
    /// The bytes so far.
    total: u64,
    /// The entries so far.
    seen: usize,
    /// The objects that are whole: a few may stand for very many paths, and each is looked at once.
    known: HashSet<Oid>,
}

impl<'a> Walk<'a> {
    /// What each owner may have, as the Config of the tree says; one that cannot be used is told later.
    fn shares(&self, tree: &git2::Tree<'_>) -> Result<Shares, git2::Error> {
        let Some(entry) = tree.get_name(CONFIG_FILE).filter(|entry| entry.kind() == Some(ObjectType::Blob)) else {
            return Ok(Shares::default());
        };
        whole(self.repository, entry.id())?;
        let file = self.blob(entry.id())?;
        Ok(Shares::new(config(&Tree::of([(CONFIG_FILE.to_owned(), file)].into())).ok().flatten()))
    }

    /// Refuses an object that is cut off.
    fn whole(&mut self, id: Oid) -> Result<(), git2::Error> {
        if !self.known.contains(&id) {
            whole(self.repository, id)?;
            self.known.insert(id);
        }
        Ok(())
    }

    fn tree(&mut self, id: Oid) -> Result<git2::Tree<'a>, git2::Error> {
        self.whole(id)?;
        self.repository.find_tree(id)
    }

    /// Reads a file whose object is whole.
    fn blob(&self, id: Oid) -> Result<Entry, git2::Error> {
        let size = self.repository.odb()?.read_header(id)?.0 as u64;
        if size > MAX_FILE_BYTES {
            return Ok(Entry::TooLarge(size));
        }
        Ok(Entry::File(self.repository.find_blob(id)?.content().to_vec()))
    }

    fn file(&mut self, path: String, id: Oid) -> Result<(), git2::Error> {
        self.whole(id)?;
        let size = (self.repository.odb()?.read_header(id)?.0 as u64).min(MAX_FILE_BYTES);
        let mut read = Ok(Entry::Beyond);
        // What a tenant has is bounded by its own limits.
        if self.shares.owner(&path).is_none() {
            self.total += size;
        }
        let mut made = std::mem::take(&mut self.made);
        made.share(path, size, &self.shares, || match self.blob(id) {
            Ok(file) => file,
            Err(error) => {
                read = Err(error);
                Entry::Beyond
            }
        });
        self.made = made;
        read.map(drop)
    }

    /// Where a link leads; the target of a link is short.
    fn link(&mut self, id: Oid) -> Result<String, git2::Error> {
        self.whole(id)?;
        if self.repository.odb()?.read_header(id)?.0 > MAX_LINK {
            return Ok(String::new());
        }
        Ok(String::from_utf8_lossy(self.repository.find_blob(id)?.content()).into_owned())
    }

    fn folder(&mut self, tree: &git2::Tree<'_>, prefix: &str, depth: usize) -> Result<(), git2::Error> {
        for entry in tree {
            let is_text = std::str::from_utf8(entry.name_bytes()).is_ok();
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let path = format!("{prefix}{name}");
            if !self.made.counts(&path, &self.shares) {
                continue;
            }
            // What no tenant has is the platform's, and bounded as a whole.
            if self.shares.owner(&path).is_none() {
                self.seen += 1;
            }
            if self.seen > MAX_ENTRIES {
                return Err(git2::Error::from_str("it has more than 500,000 files and folders"));
            }
            if !is_text && (entry.kind() == Some(ObjectType::Tree) || Tree::wants(&name)) {
                self.made.nameless(path);
                continue;
            }
            if path == CONFIG_FILE && entry.kind() == Some(ObjectType::Tree) {
                self.made.entries.insert(path, Entry::Unreadable("it is a folder".to_owned()));
                continue;
            }
            // A hostile tree may hold names that mean something to a file system.
            if matches!(name.as_str(), "." | ".." | "") || name.contains(['/', '\\', '\0']) {
                self.made.entries.insert(path, Entry::Unreadable("its name is no file name".to_owned()));
                continue;
            }
            match (entry.kind(), entry.filemode()) {
                (_, 0o120_000) => {
                    let target = self.link(entry.id())?;
                    self.made.entries.insert(path, Entry::Symlink(target));
                }
                (Some(ObjectType::Commit), _) => {
                    self.made.entries.insert(path, Entry::Submodule);
                }
                (Some(ObjectType::Tree), _) if depth < MAX_DEPTH => {
                    let below = self.tree(entry.id())?;
                    self.folder(&below, &format!("{path}/"), depth + 1)?;
                    self.made.folders.insert(path);
                }
                (Some(ObjectType::Tree), _) => {
                    self.made.entries.insert(
                        format!("{path}.yaml"),
                        Entry::Unreadable(format!("its folder is deeper than {MAX_DEPTH}")),
                    );
                }
                (Some(ObjectType::Blob), _) if Tree::wants(&name) && self.total <= MAX_TREE_BYTES => {
                    self.file(path, entry.id())?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The object at a path below a tree; it and all above it are whole.
fn find(repository: &git2::Repository, tree: &git2::Tree<'_>, path: &Path) -> Result<Oid, git2::Error> {
    let mut id = tree.id();
    for name in path {
        let missing = || {
            let text = format!("it has no {}", Untrusted::new(path.to_string_lossy()).terminal());
            git2::Error::new(git2::ErrorCode::NotFound, git2::ErrorClass::Tree, text)
        };
        let folder = repository.find_tree(id)?;
        id = folder.get_name_bytes(name.as_encoded_bytes()).ok_or_else(missing)?.id();
        whole(repository, id)?;
    }
    Ok(id)
}

/// The largest header of a loose object: its type, size and a zero byte.
const MAX_HEADER: u64 = 64;

/// Refuses a loose object that is cut off: libgit2 waits for the rest of it for ever.
fn whole(repository: &git2::Repository, id: Oid) -> Result<(), git2::Error> {
    let name = id.to_string();
    let path = repository.commondir().join("objects").join(&name[..2]).join(&name[2..]);
    let Ok(file) = std::fs::File::open(path) else { return Ok(()) };
    let mut inflated = flate2::read::ZlibDecoder::new(file).take(MAX_BRANCH_FILE as u64 + MAX_HEADER);
    match std::io::copy(&mut inflated, &mut std::io::sink()) {
        Ok(_) => Ok(()),
        Err(_) => Err(git2::Error::from_str(&format!("object {name} is damaged; run `git fsck`"))),
    }
}

/// The path of a folder in its work tree.
pub(super) fn place_in_work_tree(root: &Path) -> Option<String> {
    let repository = git2::Repository::discover(root).ok()?;
    let inside = root.strip_prefix(repository.workdir()?.canonicalize().ok()?).ok()?;
    let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
    Some(parts.join("/"))
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
