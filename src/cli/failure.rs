//! Errors as the person at the terminal sees them: the wording, the hint and the exit code are decided only here.

use crate::desired::{CONFIG_FILE, Entry, ReadError, Tree};
use crate::object::{Diagnostic, Untrusted, unobeyed};
use crate::{cluster, ops, registry};

/// The exit code of a failure.
pub(in crate::cli) const FAILED: u8 = 1;
/// The exit code for differences.
pub(super) const DIFFERENT: u8 = 2;
/// The exit code of a refusal.
pub(super) const REFUSED: u8 = 3;
/// The exit code when another agent writes.
pub(super) const LOCKED: u8 = 4;
/// The exit code of wrong usage.
pub(super) const USAGE: u8 = 64;

/// Why a verb ended without doing its job.
pub(super) struct Failure {
    code: u8,
    message: Untrusted,
    hint: &'static str,
    diagnostics: Vec<Diagnostic>,
    tree: Box<Tree>,
}

impl Failure {
    /// The command was used wrongly.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: Untrusted::new(message), hint: "", diagnostics: Vec::new(), tree: Box::default() }
    }

    /// The command was used wrongly, and there is another way.
    pub(super) fn usage_but(message: impl Into<String>, hint: &'static str) -> Self {
        Self { hint, ..Self::usage(message) }
    }

    /// It could not be done.
    pub(super) fn failed(message: impl Into<String>, hint: &'static str) -> Self {
        Self { code: FAILED, message: Untrusted::new(message), hint, diagnostics: Vec::new(), tree: Box::default() }
    }

    /// It must not be done.
    pub(super) fn refused(message: impl Into<String>, hint: &'static str) -> Self {
        Self { code: REFUSED, ..Self::failed(message, hint) }
    }

    /// Someone else writes.
    pub(super) fn locked(message: impl Into<String>, hint: &'static str) -> Self {
        Self { code: LOCKED, ..Self::failed(message, hint) }
    }

    /// Its exit code, and what it says in one line.
    pub(super) fn summary(&self) -> (u8, String) {
        (self.code, self.message.terminal())
    }

    /// Shows it, and gives the exit code.
    pub(super) fn print(self) -> u8 {
        super::ui::diagnostics(&self.diagnostics, &self.tree, false);
        anstream::eprintln!("error: {}", unobeyed(&self.message.terminal()));
        if !self.hint.is_empty() {
            anstream::eprintln!("hint: {}", unobeyed(self.hint));
        }
        self.code
    }
}

impl From<ops::Error> for Failure {
    fn from(error: ops::Error) -> Self {
        let message = Untrusted::new(error.to_string());
        let (code, hint) = match &error {
            ops::Error::Read(ReadError::Config(..)) => {
                (REFUSED, "Nothing was done: the rules of the repository cannot be read.")
            }
            ops::Error::Read(ReadError::Gone) => {
                (REFUSED, "Restore the file. To stop using environments and tenants, delete their objects first.")
            }
            ops::Error::Read(_) => (USAGE, ""),
            ops::Error::Cluster(cluster::Error::Config(_)) => {
                (FAILED, "Give --kubeconfig and --context, or plan offline with --snapshot.")
            }
            ops::Error::Cluster(cluster::Error::Server(_)) => {
                (FAILED, "Check that the cluster runs and that the context is the right one.")
            }
            ops::Error::Registry(error @ registry::Error::Authority { .. }) => (USAGE, hint_of(error)),
            ops::Error::Registry(error) => (FAILED, hint_of(error)),
            ops::Error::Source(_) | ops::Error::Snapshot { .. } | ops::Error::File { .. } | ops::Error::Thread(_) => {
                (FAILED, "")
            }
        };
        let (diagnostics, tree) = match error {
            ops::Error::Read(ReadError::Config(diagnostics, text)) => {
                let entry = (CONFIG_FILE.to_owned(), Entry::File(text.into_bytes()));
                (diagnostics, Tree::of([entry].into()))
            }
            _ => (Vec::new(), Tree::default()),
        };
        Self { code, message, hint, diagnostics, tree: Box::new(tree) }
    }
}

impl From<ops::NewError> for Failure {
    fn from(error: ops::NewError) -> Self {
        use crate::scaffold::Wrong;
        use ops::NewError;
        let message = error.to_string();
        match error {
            NewError::Read(error) => error.into(),
            NewError::NoRepository(_) => Self { hint: "`spinway new repository` makes one.", ..Self::usage(message) },
            NewError::Repository(_) => {
                Self::failed(message, "Nothing was written. Add to it: `spinway new app`, `tenant`, `gateway`.")
            }
            NewError::There(_) => Self::failed(message, "Nothing was written. Choose another name, or edit that file."),
            NewError::Outside(_) => Self::failed(message, "Nothing was written. Mend the paths in spinway.yaml."),
            NewError::Ignored(_) => {
                Self::failed(message, "Nothing was written. Mend that file, or choose another name.")
            }
            NewError::Changed(_) => Self::failed(message, "Nothing was written. Run the same command again."),
            NewError::Wrong(Wrong::Value { .. } | Wrong::NoNamespace { .. }) => Self::usage(message),
            NewError::Wrong(Wrong::TenantThere { .. }) => {
                Self::failed(message, "Nothing was written. Edit that entry, or choose another name.")
            }
            NewError::Wrong(Wrong::NoFolder(_) | Wrong::Unread(_)) => {
                Self::failed(message, "Nothing was written. Add a folder to `sources` of spinway.yaml.")
            }
            NewError::Rejected(diagnostics, tree) => {
                let hint = "Nothing was written. Give other values, or have the rules in spinway.yaml changed.";
                Self { diagnostics, tree, ..Self::failed(message, hint) }
            }
        }
    }
}

/// What to do about a registry that does not tell a digest.
pub(super) fn hint_of(error: &registry::Error) -> &'static str {
    match error {
        registry::Error::Reference(_) => "An image is `REGISTRY/NAME:TAG`, in lower-case letters but for the tag.",
        registry::Error::Authority { .. } => "Give --ca-file a file with certificates in PEM form.",
        registry::Error::Credentials { .. } => {
            "Log in anew: `docker login REGISTRY` (crane and oras write the same file)."
        }
        registry::Error::Unreachable { .. } => {
            "Check the name of the registry, the network, the proxy and, for an authority of your own, --ca-file."
        }
        registry::Error::Late { .. } => "Run it again, or give it longer by --timeout.",
        registry::Error::Insecure { .. } => "The registry needs a token server with TLS: tell those who run it.",
        registry::Error::Unauthorized { .. } => {
            "Log in with an account that may read it: `docker login REGISTRY`. Some registries answer so for names that do not exist."
        }
        registry::Error::Missing { .. } => "Mend the name or the tag, or push the image first.",
        registry::Error::Busy(_) => "Wait, or log in: registries let accounts ask more often.",
    }
}
