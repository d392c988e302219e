//! Findings about the repository or the cluster.

use super::{ObjectRef, Origin, Untrusted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is wrong. Where an apply would go wrong by it, the object is blocked, and what depends on it.
    Error,
    /// Something is likely wrong; nothing is held back.
    Warning,
    /// Worth knowing.
    Note,
}

/// One finding: what, where, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The stable name of the rule.
    pub id: &'static str,
    /// Where, when it is about a place in the repository.
    pub origin: Option<Origin>,
    /// A second place that takes part in it (the other of two duplicates), with what it is.
    pub related: Option<(Origin, &'static str)>,
    /// What is wrong.
    pub message: Untrusted,
    /// What to do next.
    pub help: Option<Untrusted>,
    /// The object it is about.
    pub object: Option<ObjectRef>,
}

impl Diagnostic {
    /// A finding without place, help or object.
    pub fn new(severity: Severity, id: &'static str, message: impl Into<String>) -> Self {
        Self { severity, id, origin: None, related: None, message: Untrusted::new(message), help: None, object: None }
    }

    /// An error.
    pub fn error(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, id, message)
    }

    /// A warning.
    pub fn warning(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, id, message)
    }

    /// A note.
    pub fn note(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, id, message)
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Names a second place.
    #[must_use]
    pub fn and(mut self, origin: Origin, what: &'static str) -> Self {
        self.related = Some((origin, what));
        self
    }

    /// The same where files are named from a folder above: `folder` is that of the repository in it.
    #[must_use]
    pub fn below(mut self, folder: &str) -> Self {
        if folder.is_empty() {
            return self;
        }
        let places = self.origin.iter_mut().chain(self.related.iter_mut().map(|(origin, _)| origin));
        places.for_each(|place| place.file = format!("{folder}/{}", place.file).into());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(Untrusted::new(help));
        self
    }

    /// Says which object it is about.
    #[must_use]
    pub fn about(mut self, object: &ObjectRef) -> Self {
        self.object = Some(object.clone());
        self
    }
}
