//! The bytes of a repository: from a directory, from a Git revision without ever checking it out, or pulled from a server.

mod access;
mod branch;
mod directory;
mod git;
mod https;
pub mod known_hosts;
mod remote;
mod rewrite;
mod signature;
mod ssh;
mod transport;

pub use access::{Secrets, Unreachable};
pub use branch::Branch;
pub use git::Standing;
pub(crate) use https::{chain, same_host};
pub use remote::{PullError, Pulled, Remote, Want, cache_below};
pub use rewrite::rewrite;
pub use signature::Signers;

use crate::desired::Tree;
use crate::object::Revision;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Why a repository cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory does not exist or cannot be listed.
    #[error("{path}: {error}")]
    Directory {
        /// The path as it was given.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is no Git repository, or the revision does not exist.
    #[error("{0}")]
    Git(String),
    /// The files are larger together than the budget.
    #[error("the files are larger than {} MiB together", crate::desired::MAX_TREE_BYTES >> 20)]
    TooLarge,
    /// It took too long.
    #[error("reading the repository took longer than {} seconds: it may be damaged (`git fsck`)", LONGEST.as_secs())]
    Slow,
}

/// The longest that reading a repository may take: what is damaged or made to be slow must not keep anyone waiting for ever.
const LONGEST: Duration = Duration::from_secs(120);

/// The stack of a thread that reads: as much as a process has at first.
const STACK: usize = 8 << 20;
/// So many reads may be given up and still run: an agent tries again each turn.
const MOST_ABANDONED: usize = 4;
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// Reads something of a repository within [`LONGEST`]. What takes longer is left to its thread, which ends with the process.
///
/// # Errors
/// What reading says, or [`Error::Slow`].
pub fn in_time<T: Send + 'static>(read: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    within(LONGEST, read)
}

fn within<T: Send + 'static>(
    longest: Duration,
    read: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if ABANDONED.load(Ordering::Relaxed) >= MOST_ABANDONED {
        return Err(Error::Slow);
    }
    let (done, waiting) = mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || drop(done.send(read())));
    thread.map_err(|error| Error::Git(format!("no thread to read with: {error}")))?;
    match waiting.recv_timeout(longest) {
        Ok(read) => read,
        Err(RecvTimeoutError::Timeout) => {
            ABANDONED.fetch_add(1, Ordering::Relaxed);
            Err(Error::Slow)
        }
        Err(RecvTimeoutError::Disconnected) => Err(Error::Git("reading the repository ended early".to_owned())),
    }
}

/// A repository, read.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// Its files.
    pub tree: Tree,
    /// The commit, when it was read from one.
    pub revision: Option<Revision>,
    /// Where it comes from: the URL of its remote, or its directory, and the path in it.
    pub source: String,
}

/// Reads one file from the newest commit of a branch, here or of the remote `origin`; none when the branch or the file is
/// not there.
///
/// # Errors
/// It is no Git repository, or the file is too large.
pub fn file_of_branch(directory: &Path, branch: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
    git::file_of_branch(directory, branch, path)
}

/// How a revision of the repository around a directory stands to another one.
///
/// # Errors
/// It is no Git repository, or the revision is not in it.
pub fn standing(directory: &Path, revision: &str, other: &str) -> Result<Standing, Error> {
    git::standing(directory, revision, other)
}

/// Reads the repository around a directory: from the folder of the nearest `spinway.yaml` above, else the directory
/// itself; the files as they are, or as a revision has them.
///
/// # Errors
/// The directory or the revision cannot be read.
pub fn read(directory: &Path, revision: Option<&str>) -> Result<Repository, Error> {
    match revision {
        Some(revision) => git::read(&canonical(directory)?, revision),
        None => {
            let root = root(directory)?;
            let source = git::source(&root).unwrap_or_else(|| root.display().to_string());
            Ok(Repository { tree: directory::read(&root)?, revision: None, source })
        }
    }
}

/// Reads the repository around a directory as a revision has it; one without files where the revision does not have the
/// directory yet.
///
/// # Errors
/// The directory or the revision cannot be read.
pub fn read_base(directory: &Path, revision: &str) -> Result<Repository, Error> {
    git::read_base(&canonical(directory)?, revision)
}

/// The folder of the repository around a directory: that of the nearest `spinway.yaml` at or above it, else itself.
///
/// # Errors
/// There is no such directory.
pub fn root(directory: &Path) -> Result<PathBuf, Error> {
    let given = canonical(directory)?;
    let found = given.ancestors().find(|folder| folder.join(crate::desired::CONFIG_FILE).is_file());
    Ok(found.unwrap_or(&given).to_owned())
}

/// The path of the repository around a directory within its Git work tree: what GitHub names files from. Empty where both are the
/// same folder, or where there is no Git repository.
pub fn place_in_git(directory: &Path) -> String {
    root(directory).ok().and_then(|root| git::place_in_work_tree(&root)).unwrap_or_default()
}

fn canonical(directory: &Path) -> Result<PathBuf, Error> {
    directory.canonicalize().map_err(|error| Error::Directory { path: directory.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_given_up() {
        assert_eq!(within(Duration::from_secs(60), || Ok(1)).ok(), Some(1));
        let slow = || {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        };
        assert!(matches!(within(Duration::from_millis(10), slow), Err(Error::Slow)));
        let early = within(Duration::from_secs(60), || -> Result<(), Error> { std::panic::panic_any("it ends") });
        assert!(matches!(early, Err(Error::Git(_))));
    }
}
