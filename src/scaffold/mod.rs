//! What `spinway new` writes: from a few words to files that explain themselves.
//!
//! **Invariants:** nothing here reads or writes a file; of a `spinway.yaml` that is there not a byte changes but for what is
//! inserted, and the result means what it did before plus the insertion, else it is left to people.

mod app;
mod codeowners;
mod gateway;
mod insert;
mod known;
mod repository;
mod rights;
mod tenant;
mod text;

pub use app::{NewApp, NewRoute, app};
pub use codeowners::{CODEOWNERS, Codeowners, NO_PLATFORM_TEAM, Review, Reviewed};
pub use gateway::{NewGateway, gateway};
pub use insert::Insertion;
pub use known::Known;
pub use repository::{NewRepository, repository};
pub use rights::{account_for, account_of};
pub use tenant::{NewTenant, tenant};

use crate::desired::is_dns_label;
use crate::kinds::is_subdomain;
use crate::object::Origin;

/// The RuntimeClass that SpinKube's own documentation installs.
const RUNTIME_CLASS: &str = "wasmtime-spin-v2";

/// The text of a file that keeps a folder in Git which has no other file.
const KEPT: &str = "# What spinway does not read, as .gitignore has it. This file also keeps the folder in Git.\n";

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its path in the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Files that are not there yet.
    pub files: Vec<NewFile>,
    /// What becomes of `spinway.yaml`.
    pub insertion: Option<Insertion>,
    /// What becomes of `CODEOWNERS`.
    pub review: Option<Review>,
}

/// Why something cannot be written as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A value that its field does not take.
    #[error("`{value}` is no {what}: {rule}")]
    Value {
        /// The value.
        value: String,
        /// What it should be.
        what: &'static str,
        /// What that looks like.
        rule: String,
    },
    /// No tenant has the namespace, and the repository does not declare it.
    #[error("no tenant has namespace `{name}` and the repository does not declare it. {help}")]
    NoNamespace {
        /// The namespace.
        name: String,
        /// What may have been meant, and what there is.
        help: String,
    },
    /// The tenant is there.
    #[error("there is a tenant `{name}` already: {place}")]
    TenantThere {
        /// Its name.
        name: String,
        /// Where.
        place: Origin,
    },
    /// The repository has no place for it.
    #[error("no folder among `sources` of spinway.yaml is for {0}")]
    NoFolder(String),
    /// The repository would not read it.
    #[error("no `sources` of spinway.yaml cover the folder {0}")]
    Unread(String),
}

/// Holds a name against RFC 1123, with at most so many characters.
fn check_name(value: &str, what: &'static str, longest: usize) -> Result<(), Wrong> {
    if is_dns_label(value) && value.len() <= longest {
        return Ok(());
    }
    let rule = format!("use at most {longest} lower-case letters, digits and `-`, with none of the last at an end");
    Err(Wrong::Value { value: value.to_owned(), what, rule })
}

/// Holds a name against the rule of most kinds: labels of RFC 1123 between dots.
fn check_subdomain(value: &str, what: &'static str) -> Result<(), Wrong> {
    let rule = "use at most 253 lower-case letters, digits, `-` and `.`, with a letter or a digit at both ends and beside each `.`";
    check_value(is_subdomain(value), value, what, rule)
}

/// Holds a text against a rule in words.
fn check_value(holds: bool, value: &str, what: &'static str, rule: &str) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong::Value { value: value.to_owned(), what, rule: rule.to_owned() }) }
}

/// The longest DNS label.
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests;
