//! A file on a branch of its own on a Git server: one commit without parents, written anew each time, so that the branch
//! stays as small as its file.

use super::access::{Access, Secrets};
use super::remote::{PullError, Remote, Want};
use super::signature::Signers;
use super::transport;
use git2::{ErrorCode, PushOptions, RemoteCallbacks, Signature};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Under this name a commit stands here before it is pushed.
const MADE: &str = "refs/spinway/made";
/// Pushing may take so long.
const LIMIT: Duration = Duration::from_secs(20);
/// Who commits.
const AUTHOR: (&str, &str) = ("spinway", "spinway@localhost");

/// A branch for one file.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The repository, as [`Remote::url`].
    pub url: String,
    /// Credentials and trust; these may push.
    pub secrets: Secrets,
    /// The name of the branch.
    pub name: String,
    /// A folder for what is on its way; nothing is left there.
    pub scratch: PathBuf,
}

impl Branch {
    /// Reads the file; none when there is no such branch yet.
    ///
    /// # Errors
    /// The server cannot be read, or the branch holds something else.
    pub fn read(&self, file: &str) -> Result<Option<Vec<u8>>, PullError> {
        let remote = Remote {
            url: self.url.clone(),
            want: Want::Branch(self.name.clone()),
            directory: PathBuf::new(),
            secrets: self.secrets.clone(),
            signers: Signers::default(),
            rewrites: true,
            cache: self.scratch.clone(),
            using: Arc::default(),
        };
        let found = match remote.pull(None) {
            Ok(pulled) => self.blob(&pulled.revision, file).map(Some),
            // There is no such branch yet.
            Err(PullError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        };
        self.clear();
        found
    }

    fn blob(&self, revision: &str, file: &str) -> Result<Vec<u8>, PullError> {
        let read = || {
            let repository = git2::Repository::open_bare(&self.scratch)?;
            let tree = repository.revparse_single(revision)?.peel_to_tree()?;
            let blob = tree.get_path(Path::new(file))?.to_object(&repository)?.peel_to_blob()?;
            Ok(blob.content().to_vec())
        };
        read().map_err(|error: git2::Error| match error.code() {
            ErrorCode::NotFound => PullError::Refused(format!(
                "branch {} holds no {file}, so it is for something else: delete it, or choose another name",
                self.name
            )),
            _ => PullError::Git(self.url.clone(), error.message().to_owned()),
        })
    }

    /// Makes the file all that the branch holds.
    ///
    /// # Errors
    /// The server cannot be reached, or does not take it.
    pub fn write(&self, file: &str, bytes: &[u8], message: &str) -> Result<(), PullError> {
        let access = Arc::new(Access::new(&self.url, &self.secrets)?.within(LIMIT));
        let pushed = transport::with(&access, || self.push(&access, file, bytes, message));
        self.clear();
        // What is wrong with the way to the server was told aside; through libgit2 only texts come.
        match (pushed.and_then(|pushed| pushed), access.take_failure()) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(failure)) => Err(failure.into()),
            (Err(error), None) => Err(PullError::Git(access.host(), error.message().to_owned())),
        }
    }

    fn push(&self, access: &Access, file: &str, bytes: &[u8], message: &str) -> Result<(), git2::Error> {
        self.clear();
        let repository = git2::Repository::init_bare(&self.scratch)?;
        let mut tree = repository.treebuilder(None)?;
        tree.insert(file, repository.blob(bytes)?, 0o100_644)?;
        let tree = repository.find_tree(tree.write()?)?;
        let author = Signature::now(AUTHOR.0, AUTHOR.1)?;
        repository.commit(Some(MADE), &author, &author, message, &tree, &[])?;
        let mut remote = repository.remote_anonymous(access.url.as_str())?;
        let refused = RefCell::new(None);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.push_update_reference(|_, status| {
            *refused.borrow_mut() = status.map(str::to_owned);
            Ok(())
        });
        let mut options = PushOptions::new();
        options.remote_callbacks(callbacks);
        remote.push(&[format!("+{MADE}:refs/heads/{}", self.name)], Some(&mut options))?;
        drop(options);
        match refused.into_inner() {
            Some(reason) => Err(git2::Error::from_str(&format!("it does not take branch {}: {reason}", self.name))),
            None => Ok(()),
        }
    }

    fn clear(&self) {
        // What is left shows when it is made anew.
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}
