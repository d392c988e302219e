//! What a runner gives: the event, and the files for outputs and the summary.

use crate::cli::failure::Failure;
use crate::object::Untrusted;
use serde_json::Value;
use std::fs::OpenOptions;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::PathBuf;

/// The most bytes of a step's summary (1 MiB is taken).
pub(super) const MAX_SUMMARY: usize = 900 << 10;
/// The largest event that is read, in bytes.
const MAX_EVENT: u64 = 16 << 20;

/// What happened, as the runner tells.
pub(super) struct Runner {
    /// `pull_request`, `pull_request_target`, `workflow_run`, `push`, …
    pub(super) event_name: String,
    /// The event.
    pub(super) event: Value,
}

impl Runner {
    /// Reads the event.
    pub(super) fn read() -> Result<Self, Failure> {
        let event_name = std::env::var("GITHUB_EVENT_NAME").unwrap_or_default();
        let event = match std::env::var_os("GITHUB_EVENT_PATH").filter(|path| !path.is_empty()) {
            None => Value::Null,
            Some(path) => {
                let path = PathBuf::from(path);
                let failed =
                    |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()), "");
                let size = std::fs::metadata(&path).map_err(|error| failed(&error))?.len();
                if size > MAX_EVENT {
                    return Err(failed(&"the event is too large"));
                }
                let text = std::fs::read(&path).map_err(|error| failed(&error))?;
                serde_json::from_slice(&text).map_err(|error| failed(&error))?
            }
        };
        Ok(Self { event_name, event })
    }

    /// A text of the event; empty where it has none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it runs with the rights of the base for someone else's change.
    pub(super) fn is_privileged_for_others(&self) -> bool {
        matches!(self.event_name.as_str(), "pull_request_target" | "workflow_run" | "issue_comment")
    }
}

/// Appends to the file that a variable names; without it there is no runner, and nothing is written.
fn append(variable: &str, text: &str) -> Result<(), Failure> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else { return Ok(()) };
    let path = PathBuf::from(path);
    let written =
        OpenOptions::new().create(true).append(true).open(&path).and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|error| Failure::failed(format!("{}: {error}", path.display()), ""))
}

/// Adds to the summary of the job.
pub(super) fn summarise(text: &str) -> Result<(), Failure> {
    append("GITHUB_STEP_SUMMARY", text)
}

/// Sets an output. Its delimiter cannot be known by who writes the value.
pub(super) fn output(name: &str, value: &str) -> Result<(), Failure> {
    // Two random numbers of the standard library's own seed: nobody outside of the process can know them.
    let random = || RandomState::new().hash_one(std::time::Instant::now());
    let delimiter = format!("spinway-{:016x}{:016x}", random(), random());
    append("GITHUB_OUTPUT", &format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

/// Shows a warning in the log and beside the files: the text is on one line and no command of its own.
pub(super) fn warn(text: &str) {
    let text = Untrusted::new(text).terminal().replace('%', "%25").replace("::", ": :");
    let _ = crate::cli::ui::write(None, &format!("::warning title=spinway::{text}\n"));
}
