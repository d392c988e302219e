//! What `spinway new` asks, and what it takes where nobody can answer.

use crate::cli::failure::Failure;
use crate::cli::ui;

/// Asks a person at a terminal, else takes what is usual.
pub(super) struct Asker {
    is_interactive: bool,
}

impl Asker {
    /// Asks where a person sits.
    pub(super) fn new() -> Self {
        Self { is_interactive: ui::is_interactive() }
    }

    /// Whether a person answers.
    pub(super) fn is_interactive(&self) -> bool {
        self.is_interactive
    }

    /// A value that has a usual one.
    pub(super) fn usual(&self, given: Option<String>, question: &str, usual: &str) -> String {
        given.or_else(|| self.answer(question, usual)).unwrap_or_else(|| usual.to_owned())
    }

    /// A value that must be said, unless there is a single choice.
    pub(super) fn needed(
        &self,
        given: Option<String>,
        option: &str,
        question: &str,
        choices: &[String],
    ) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        let only = if let [only] = choices { Some(only.clone()) } else { None };
        let all = choices.join(", ");
        let asked = if choices.len() > 1 { format!("{question} ({all})") } else { question.to_owned() };
        let answer = self.answer(&asked, only.as_deref().unwrap_or_default());
        answer.or(only).ok_or_else(|| {
            let known = if all.is_empty() { String::new() } else { format!("; there are: {all}") };
            Failure::usage(format!("{option} is missing: {question}{known}"))
        })
    }

    /// A list, by commas.
    pub(super) fn several(&self, given: Vec<String>, question: &str, usual: &[String]) -> Vec<String> {
        if !given.is_empty() {
            return given;
        }
        let answer = self.answer(&format!("{question}, by commas"), &usual.join(","));
        answer.map_or_else(
            || usual.to_vec(),
            |answer| answer.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect(),
        )
    }

    /// What a person says; nothing where none sits, and where nothing is said.
    fn answer(&self, question: &str, usual: &str) -> Option<String> {
        self.is_interactive.then(|| ui::question(question, usual)).flatten()
    }
}
