//! The terminal: standard output is data, standard error is everything else.

use crate::desired::Tree;
use crate::object::{Diagnostic, Untrusted, unobeyed};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Sends the program's own log to standard error; SPINWAY_LOG chooses what is in it. The agent's is JSON, one object a
/// line, and tells what it does unless something else is chosen.
pub(super) fn log(agent: bool) {
    let usual = if agent { "spinway=info" } else { "off" };
    let filter = EnvFilter::try_from_env("SPINWAY_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    let _ = if agent { log.json().flatten_event(true).try_init() } else { log.try_init() };
}

/// Whether standard output shows colours (NO_COLOR, CLICOLOR and the terminal decide).
pub(super) fn colours_stdout() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Whether a person sits at it.
pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Writes data to a file, or to standard output. A reader that went away is no failure.
pub(super) fn write(file: Option<&Path>, text: &str) -> std::io::Result<()> {
    let written = match file {
        Some(path) => std::fs::write(path, text),
        None => std::io::stdout().write_all(text.as_bytes()),
    };
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Shows findings.
pub(super) fn diagnostics(found: &[Diagnostic], tree: &Tree, quiet: bool) {
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let shown: Vec<Diagnostic> =
        found.iter().filter(|d| !quiet || d.severity == crate::object::Severity::Error).cloned().collect();
    let text = unobeyed(&crate::report::diagnostics_text(&shown, tree, colour));
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// One line of progress.
pub(super) fn progress(text: &str) {
    anstream::eprintln!("{}", unobeyed(text));
}

/// Asks a question; only `y` and `yes` agree.
pub(super) fn ask(question: &str) -> bool {
    anstream::eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Asks for a text; an empty answer is none, and means what is usual.
pub(super) fn question(question: &str, usual: &str) -> Option<String> {
    let usual = if usual.is_empty() { String::new() } else { format!(" [{usual}]") };
    anstream::eprint!("{}: ", Untrusted::new(format!("{question}{usual}")).terminal());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty())
}
