//! A repository on a Git server: one branch, tag or commit of it in a private bare repository that is nothing but a cache.
//! Nothing is ever checked out, no submodule or hook is looked at, and history that cannot be proven is refused.

use super::access::{Access, Secrets, Unreachable};
use super::signature::{Signers, Unsigned, now};
use super::{Error, Repository, git, transport};
use git2::{AutotagOption, Direction, ErrorCode, FetchOptions, Oid, RemoteHead, RepositoryInitOptions};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Under this name the newest revision stands in the cache.
const TIP: &str = "refs/spinway/tip";
/// How many commits are fetched, step by step, to find the applied one below the newest. The last is the most.
const DEPTHS: [i32; 4] = [1, 20, 200, 1000];
/// A cache that has grown beyond this is made anew.
const MAX_CACHE_BYTES: u64 = 1 << 30;
/// How many overtaken revisions are told.
const MAX_SUPERSEDED: usize = 50;
/// As is one of so many packs: each fetch adds one, and libgit2 does not join them.
const MAX_CACHE_PACKS: usize = 100;

/// What is read of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// The newest commit of a branch.
    Branch(String),
    /// The commit of a tag.
    Tag(String),
    /// One commit, by its full id.
    Commit(String),
}

impl Want {
    fn reference(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Commit(id) => id.clone(),
        }
    }
}

impl std::fmt::Display for Want {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch `{name}`"),
            Self::Tag(name) => write!(f, "tag `{name}`"),
            Self::Commit(id) => write!(f, "commit {id}"),
        }
    }
}

/// A repository on a server.
#[derive(Clone, Debug)]
pub struct Remote {
    /// `https://…`, `ssh://…` or `user@host:path`.
    pub url: String,
    /// What is read of it.
    pub want: Want,
    /// The folder in it; empty for all of it.
    pub directory: PathBuf,
    /// Credentials and trust.
    pub secrets: Secrets,
    /// Whose signatures are asked for.
    pub signers: Signers,
    /// Whether history may be rewritten.
    pub rewrites: bool,
    /// The folder of the cache; it may be empty, or vanish between two pulls.
    pub cache: PathBuf,
    /// Held while the cache is used: a pull that nobody waits for any more may still be under way.
    pub using: Arc<Mutex<()>>,
}

/// Why nothing was pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The server cannot be read.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// Trust or history forbid it: nothing may be applied.
    #[error("{0}")]
    Refused(String),
    /// libgit2 or the cache fail.
    #[error("the Git server {0} cannot be read: {1}")]
    Git(String, String),
}

impl PullError {
    /// Whether it is a refusal: doing it again will not help.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Unreachable(unreachable) => unreachable.is_distrust(),
            Self::Refused(_) => true,
            Self::Git(..) => false,
        }
    }
}

/// What a pull gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The wanted revision, which is in the cache now.
    pub revision: String,
    /// Revisions between the applied one and this, which were overtaken; the newest first, some of them when there are many.
    pub superseded: Vec<String>,
    /// Requests that were sent; for SSH, connections.
    pub requests: u64,
}

impl Remote {
    /// Pulls what is wanted, and holds it against the revision that was applied last: one request when there is nothing new.
    ///
    /// # Errors
    /// The server cannot be read, what is wanted is not there, its history does not hold the applied revision, or its
    /// signature is not by an allowed signer.
    pub fn pull(&self, applied: Option<&str>) -> Result<Pulled, PullError> {
        // The time of the pull begins when it may begin.
        let _using = self.using.lock().unwrap_or_else(PoisonError::into_inner);
        let access = Arc::new(Access::new(&self.url, &self.secrets)?);
        let pulled = self.pull_by(&access, applied);
        // What is wrong with the way to the server was told aside; through libgit2 only texts come.
        match (pulled, access.take_failure()) {
            (Err(PullError::Git(..)), Some(failure)) => Err(failure.into()),
            (Ok(pulled), _) => Ok(Pulled { requests: access.requests(), ..pulled }),
            (Err(error), _) => Err(error),
        }
    }

    fn pull_by(&self, access: &Arc<Access>, applied: Option<&str>) -> Result<Pulled, PullError> {
        // Only before anything is fetched: what was fetched is needed.
        if is_overgrown(&self.cache) {
            self.forget();
        }
        let known = applied.and_then(|id| Oid::from_str(id).ok());
        let pull = || self.update(access, known);
        let tip = match pull() {
            // A damaged cache is none: once more, from nothing. When it is the server that fails, the cache is all there is.
            Err(PullError::Git(..)) if self.cache.exists() && !access.has_failed() => {
                self.forget();
                pull()?
            }
            done => done?,
        };
        let cache = self.open(access)?;
        self.judge(&cache, tip)?;
        self.find_directory(&cache, tip)?;
        let superseded = superseded(&cache, tip, known);
        Ok(Pulled { revision: tip.to_string(), superseded, requests: 0 })
    }

    /// Reads a revision that is in the cache, without asking the server: what was applied last stays known when the server
    /// cannot be read or must not be believed.
    ///
    /// # Errors
    /// It is not in the cache, or cannot be read.
    pub fn read(&self, revision: &str) -> Result<Repository, Error> {
        let failed = |error: git2::Error| Error::Git(format!("revision {revision}: {}", error.message()));
        let cache = git2::Repository::open_bare(&self.cache).map_err(failed)?;
        let commit = Oid::from_str(revision).and_then(|id| cache.find_commit(id)).map_err(failed)?;
        git::read_commit(&cache, &commit, &self.directory, &self.identity())
    }

    /// The same repository, read from another folder.
    pub fn at(&self, directory: &Path) -> Self {
        Self { directory: directory.to_owned(), ..self.clone() }
    }

    /// The identity of what is read: the URL and the folder.
    pub fn source(&self) -> String {
        git::join(&self.identity(), &self.directory)
    }

    /// Reads an earlier revision of what is wanted. It is fetched when it is not in the cache; it must be part of the history
    /// and signed by whom the wanted one must be.
    ///
    /// # Errors
    /// It cannot be fetched or read, or must not be believed.
    pub fn read_earlier(&self, revision: &str) -> Result<Repository, Error> {
        let refused = |error: PullError| Error::Git(error.to_string());
        let failed = |error: git2::Error| Error::Git(format!("revision {revision}: {}", error.message()));
        let id = Oid::from_str(revision).map_err(failed)?;
        let cache = git2::Repository::open_bare(&self.cache).map_err(failed)?;
        let tip = cache.refname_to_id(TIP).map_err(failed)?;
        // What is here needs no request, and is there while the server is not.
        if cache.find_commit(id).is_err() || !proven(&cache, tip, Some(id), self.rewrites) {
            self.pull(Some(revision)).map_err(refused)?;
        }
        self.judge(&cache, id).map_err(refused)?;
        self.read(revision)
    }

    /// The URL in one spelling: part of the identity of the repository.
    pub fn identity(&self) -> String {
        Access::new(&self.url, &Secrets::default()).map_or_else(|_| self.url.clone(), |access| access.shown())
    }

    fn find_directory(&self, cache: &git2::Repository, id: Oid) -> Result<(), PullError> {
        let found = cache.find_commit(id).and_then(|commit| commit.tree());
        let found = found.and_then(|tree| {
            if self.directory == Path::new("") { Ok(()) } else { tree.get_path(&self.directory).map(|_| ()) }
        });
        found.map_err(|_| {
            let (folder, short) = (self.directory.display(), &id.to_string()[..12]);
            PullError::Refused(format!("the directory `{folder}` is not in revision {short}"))
        })
    }

    /// Brings the wanted revision into the cache, with as much history as proves that the applied one is in it.
    fn update(&self, access: &Arc<Access>, applied: Option<Oid>) -> Result<Oid, PullError> {
        let cache = self.open(access)?;
        if let Want::Commit(id) = &self.want
            && let Ok(pinned) = Oid::from_str(id)
            && cache.find_commit(pinned).is_ok()
            && proven(&cache, pinned, applied, self.rewrites)
        {
            return Ok(pinned);
        }
        let tip = transport::with(access, || self.fetch(&cache, access, applied));
        tip.map_err(|error| PullError::Git(access.host(), error.message().to_owned()))?
    }

    fn fetch(&self, cache: &git2::Repository, access: &Arc<Access>, applied: Option<Oid>) -> Result<Oid, PullError> {
        let failed = |error: git2::Error| PullError::Git(access.host(), error.message().to_owned());
        let mut depths = DEPTHS.iter().copied().peekable();
        // With the applied revision at hand, all that is newer is asked for, however much that is.
        let mut depth = match applied {
            Some(applied) if cache.find_commit(applied).is_ok() => 0,
            _ => depths.next().unwrap_or_default(),
        };
        loop {
            let mut remote = cache.remote_anonymous(access.url.as_str()).map_err(failed)?;
            let mut connection = remote.connect_auth(Direction::Fetch, None, None).map_err(failed)?;
            let tip = self.tip(connection.list().map_err(failed)?)?;
            if cache.find_commit(tip).is_ok() && proven(cache, tip, applied, self.rewrites) {
                return Ok(tip);
            }
            let specification = match &self.want {
                Want::Commit(_) => format!("{tip}:{TIP}"),
                Want::Branch(_) | Want::Tag(_) => format!("+{}:{TIP}", self.want.reference()),
            };
            let mut options = FetchOptions::new();
            options.depth(depth).download_tags(AutotagOption::None);
            connection.remote().download(&[specification.as_str()], Some(&mut options)).map_err(failed)?;
            drop(connection);
            cache.reference(TIP, tip, true, "").map_err(failed)?;
            if proven(cache, tip, applied, self.rewrites) {
                return Ok(tip);
            }
            // All of the history, or as much as is ever looked at, is here.
            let whole = !cache.is_shallow();
            match depths.find(|next| *next > depth) {
                Some(next) if !whole => depth = next,
                _ => return Err(rewritten(&self.want, tip, applied, whole)),
            }
        }
    }

    /// The commit that the server has for what is wanted.
    fn tip(&self, heads: &[RemoteHead<'_>]) -> Result<Oid, PullError> {
        if heads.is_empty() {
            return Err(PullError::Refused("the repository on the server is empty".to_owned()));
        }
        let wanted = self.want.reference();
        if let Want::Commit(id) = &self.want {
            return Oid::from_str(id).map_err(|_| PullError::Refused(format!("`{id}` is no full commit id")));
        }
        // An annotated tag is told with the commit it stands for.
        let of = |name: &str| heads.iter().find(|head| head.name() == name).map(RemoteHead::oid);
        of(&format!("{wanted}^{{}}"))
            .or_else(|| of(&wanted))
            .ok_or_else(|| PullError::Refused(format!("{} is not on the server any more", self.want)))
    }

    /// Holds a commit against the allowed signers.
    fn judge(&self, cache: &git2::Repository, id: Oid) -> Result<(), PullError> {
        if !self.signers.is_asked_for() {
            return Ok(());
        }
        let found = match cache.extract_signature(&id, None) {
            Ok(found) => Some(found),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(PullError::Refused(format!("commit {id}: {}", error.message()))),
        };
        let signature = found.as_ref().and_then(|(signature, _)| std::str::from_utf8(signature).ok());
        let signed: &[u8] = found.as_ref().map_or(&[], |(_, signed)| signed);
        let judged: Result<String, Unsigned> = self.signers.judge(signature, signed, now());
        judged.map(|_| ()).map_err(|why| PullError::Refused(format!("commit {id} is not taken: {why}")))
    }

    /// Opens the cache, made if it is not there.
    fn open(&self, access: &Access) -> Result<git2::Repository, PullError> {
        if let Ok(cache) = git2::Repository::open_bare(&self.cache) {
            return Ok(cache);
        }
        let failed = |error: git2::Error| PullError::Git(access.host(), format!("its cache: {}", error.message()));
        let mut options = RepositoryInitOptions::new();
        options
            .bare(true)
            .mkpath(true)
            .external_template(false)
            .mode(git2::RepositoryInitMode::from_bits_retain(0o700));
        git2::Repository::init_opts(&self.cache, &options).map_err(failed)
    }

    /// Removes the cache.
    fn forget(&self) {
        // What cannot be removed shows when it is opened.
        let _ = std::fs::remove_dir_all(&self.cache);
    }
}

/// Where the cache of a repository is kept below a folder.
pub fn cache_below(folder: &Path, url: &str) -> PathBuf {
    let digest = Sha256::digest(url);
    folder.join("git").join(crate::object::hex(&digest[..16]))
}

/// The commits between two, which were overtaken.
fn superseded(cache: &git2::Repository, tip: Oid, applied: Option<Oid>) -> Vec<String> {
    let Some(applied) = applied.filter(|applied| *applied != tip) else { return Vec::new() };
    let walk = || -> Result<Vec<String>, git2::Error> {
        let mut walk = cache.revwalk()?;
        walk.push(tip)?;
        walk.hide(applied)?;
        walk.simplify_first_parent()?;
        walk.skip(1).take(MAX_SUPERSEDED).map(|id| id.map(|id| id.to_string())).collect()
    };
    // It is only told.
    walk().unwrap_or_default()
}

/// Whether it is proven that the applied revision is part of the history.
fn proven(cache: &git2::Repository, tip: Oid, applied: Option<Oid>, rewrites: bool) -> bool {
    let Some(applied) = applied else { return true };
    rewrites || tip == applied || cache.graph_descendant_of(tip, applied).unwrap_or(false)
}

fn rewritten(want: &Want, tip: Oid, applied: Option<Oid>, whole: bool) -> PullError {
    let applied = applied.unwrap_or(tip);
    let looked = if whole { "in all of its history" } else { "in its last 1,000 commits" };
    PullError::Refused(format!(
        "history was rewritten: {want} is now {tip}, and {applied}, which was applied last, is not {looked}"
    ))
}

fn is_overgrown(cache: &Path) -> bool {
    let packs = std::fs::read_dir(cache.join("objects/pack")).into_iter().flatten().flatten();
    let (mut bytes, mut count) = (0, 0);
    for entry in packs {
        bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        count += usize::from(entry.path().extension().is_some_and(|extension| extension == "pack"));
    }
    bytes > MAX_CACHE_BYTES || count > MAX_CACHE_PACKS
}
