//! The report: one value that every output is a rendering of (design §4).
//!
//! **Invariants:** nothing reads a report but its renderers; secret values are masked here, where a report is made; foreign
//! text reaches a sink only through that sink's encoder.

mod explained;
mod github;
mod graph;
mod junit;
mod make;
mod markdown;
mod result;
mod sarif;
mod sentence;
mod snippet;
mod text;
mod yaml;

pub use explained::explained;
pub use github::github;
pub use graph::{dot, graph_text, mermaid, why_text};
pub use junit::junit;
pub use make::{drift_only, from_check, from_drift, from_plan, health_rows, mark_known, mask_value, owned_health};
pub use markdown::{markdown, markdown_within};
pub use result::{result, trouble};
pub use sarif::sarif;
pub use sentence::{broken, reason, stop};
pub use snippet::diagnostics_text;
pub use text::text;
pub use yaml::yaml;

use crate::fields::Operation;
use crate::inventory::Destruction;
use crate::kinds::{Fact, Verdict};
use crate::live::Age;
use crate::object::{Revision, Severity, Untrusted};
use crate::plan::{Action, Cause, StepKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The version of the schema.
pub const SCHEMA: &str = "spinway.dev/report/v1";

/// What a verb found or did.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this schema.
    pub schema: Cow<'static, str>,
    /// The verb.
    pub verb: Cow<'static, str>,
    /// The environment; empty without Config.
    pub environment: String,
    /// What a reader must know before anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Untrusted>,
    /// The revision that was read; none for a directory.
    pub revision: Option<Revision>,
    /// The digest of the plan.
    pub digest: String,
    /// How old the live state is, when it is a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Age>,
    /// What waits for approval.
    pub destruction: Destruction,
    /// Whether that was approved.
    pub approved: bool,
    /// Why nothing may be done.
    pub refused: Option<Refused>,
    /// How many objects have each action.
    pub summary: BTreeMap<Action, usize>,
    /// The objects.
    pub changes: Vec<Row>,
    /// The health of objects.
    pub health: Vec<HealthRow>,
    /// Findings.
    pub diagnostics: Vec<Finding>,
    /// Requests by verb.
    pub requests: BTreeMap<Cow<'static, str>, u64>,
    /// Bytes of the bodies of requests and answers, unpacked.
    pub bytes: Bytes,
    /// Seconds by phase: `read`, `discover` (while reading), `list`, `compare`, `dry-run`, `apply`, `wait`.
    pub seconds: BTreeMap<Cow<'static, str>, f64>,
}

/// What went to the API server and came from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bytes {
    /// Bytes of requests.
    pub sent: u64,
    /// Bytes of answers.
    pub received: u64,
}

/// Why a plan is refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// What is wrong.
    pub message: Untrusted,
    /// What to do next.
    pub help: Cow<'static, str>,
}

/// An object as reports name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Name {
    /// The API group.
    pub group: String,
    /// The version; empty where it does not matter.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; none for cluster-scoped objects.
    pub namespace: Option<String>,
    /// The name.
    pub name: Untrusted,
}

/// A place in the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The path.
    pub file: Untrusted,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// What is done to one object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The object.
    pub object: Name,
    /// The partition.
    pub partition: String,
    /// What is done.
    pub action: Action,
    /// What would be done if it were neither blocked nor held.
    pub intended: Action,
    /// Where it is declared.
    pub origin: Option<Place>,
    /// The steps that it takes.
    pub steps: Vec<StepKind>,
    /// The fields that differ.
    pub fields: Vec<FieldRow>,
    /// Of an object that is made: the hosts, paths and ports that it serves, and the images that it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactRow>,
    /// The fields that are left as they are: drift that is only reported, and what is kept until who takes it over writes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<FieldRow>,
    /// The reasons.
    pub because: Vec<Untrusted>,
    /// Declared fields that someone removed, where the path was not recorded.
    #[serde(skip)]
    pub removed: usize,
    /// Whether someone deleted the object that the last apply made.
    #[serde(skip)]
    pub vanished: bool,
    /// Why the change has no order that keeps every reference whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks: Option<Untrusted>,
    /// Why going back to an earlier revision would not undo it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<Untrusted>,
    /// The objects whose change comes first.
    pub needs: Vec<Name>,
    /// For an apply: `done`, or why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Untrusted>,
}

/// What an object that is made serves or runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FactRow {
    /// What they are.
    pub what: Fact,
    /// Its values.
    pub values: Vec<Untrusted>,
}

/// One field that differs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FieldRow {
    /// The field.
    pub path: Untrusted,
    /// The live value; absent when the field is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after the apply; absent when the field goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Why it differs.
    pub cause: Cause,
    /// Who wrote the live value; none when not recorded.
    pub manager: Option<Untrusted>,
    /// How it was written.
    pub operation: Option<Operation>,
    /// When it was written.
    pub time: Option<String>,
}

/// The health of one object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HealthRow {
    /// The object.
    pub object: Name,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason in one word.
    pub reason: Untrusted,
    /// The details.
    pub message: Untrusted,
    /// A finding that does not change the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<Untrusted>,
}

/// A finding.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The stable name of the rule.
    pub id: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// Where; none when it is about no place.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What is wrong.
    pub message: Untrusted,
    /// What to do next.
    pub help: Option<Untrusted>,
    /// A second place that takes part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Place>,
    /// Whether the revision that a change is compared with has it too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}

/// The JSON Schema of a report, for `docs/reference/report.schema.json`.
pub fn json_schema() -> Value {
    schemars::schema_for!(Report).to_value()
}

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is too large.
    #[error("it is larger than {} MiB", MAX_BYTES >> 20)]
    Size,
    /// It is not of this schema.
    #[error("it is no report of schema {SCHEMA}: {0}")]
    Schema(String),
}

/// The largest report that is read, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// Text in which nothing means anything to a renderer.
fn plain(text: &str) -> Cow<'static, str> {
    let safe = |c: char| c.is_ascii_alphanumeric() || " .,:;()'-".contains(c);
    text.chars().map(|c| if safe(c) { c } else { ' ' }).collect::<String>().into()
}

impl Report {
    /// Reads a report that another process wrote: someone else's text, so it is data and nothing more.
    ///
    /// # Errors
    /// It is too large, or not of this schema.
    pub fn read(text: &[u8]) -> Result<Self, ReportError> {
        if text.len() > MAX_BYTES {
            return Err(ReportError::Size);
        }
        let mut report: Self = serde_json::from_slice(text).map_err(|error| ReportError::Schema(error.to_string()))?;
        if report.schema != SCHEMA {
            return Err(ReportError::Schema(format!("it says {:?}", report.schema)));
        }
        // What is our own text in a report of ours is not encoded by renderers, so here it must be plain.
        report.verb = plain(&report.verb);
        for text in [&mut report.digest, &mut report.destruction.digest] {
            *text = plain(text).into_owned();
        }
        report.revision.iter_mut().for_each(|revision| revision.id = plain(&revision.id).into_owned());
        report.requests = report.requests.into_iter().map(|(verb, count)| (plain(&verb), count)).collect();
        report.seconds = report.seconds.into_iter().map(|(phase, seconds)| (plain(&phase), seconds)).collect();
        report.diagnostics.iter_mut().for_each(|finding| finding.id = plain(&finding.id));
        report.refused.iter_mut().for_each(|refused| refused.help = plain(&refused.help));
        Ok(report)
    }

    /// Whether it has changes and none of them can be made.
    pub fn is_all_blocked(&self) -> bool {
        let mut changes = self.changes.iter().filter(|row| row.action != Action::Unchanged).peekable();
        changes.peek().is_some() && changes.all(|row| row.action == Action::Blocked)
    }

    /// As JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As YAML.
    pub fn yaml(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        yaml(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_digests_of_a_foreign_report_are_plain() {
        let hostile = "éé\u{1b}[2J\n::error::é";
        let written = Report {
            schema: SCHEMA.into(),
            digest: hostile.to_owned(),
            destruction: Destruction { digest: hostile.to_owned(), objects: Vec::new() },
            revision: Some(Revision { id: hostile.to_owned(), ..Revision::default() }),
            ..Report::default()
        };
        let read = Report::read(written.json().as_bytes()).unwrap_or_default();
        let text = text(&read, false, true);
        assert!(
            text.is_ascii() && !text.contains('\u{1b}') && text.lines().all(|line| !line.starts_with("::")),
            "{text}"
        );
        assert!(read.revision.is_some_and(|revision| revision.id.len() == hostile.chars().count()));
    }
}
