//! The step that comments on the pull request. It may run in another job, with other rights, on reports that someone else's
//! job made: they are data.

use super::runner::{Runner, warn};
use crate::cli::failure::Failure;
use crate::notify::{Commented, MAX_COMMENT, PullRequest};
use crate::plan::Action;
use crate::report::{Report, markdown_within};
use clap::Args;
use std::path::{Path, PathBuf};

/// The most reports that are commented.
const MOST: usize = 20;

/// Write one comment for each report, or update it
#[derive(Args)]
pub(super) struct Arguments {
    /// Where the reports are
    #[arg(long, env = "SPINWAY_REPORTS", value_name = "DIR", default_value = "spinway-reports")]
    reports: PathBuf,
    /// The repository, OWNER/NAME
    #[arg(long, env = "GITHUB_REPOSITORY", value_name = "NAME")]
    repository: String,
    /// The API of the server
    #[arg(long, env = "GITHUB_API_URL", value_name = "URL", default_value = "https://api.github.com")]
    api: String,
    /// As whom the token writes
    #[arg(long, env = "SPINWAY_COMMENT_AUTHOR", value_name = "LOGIN", default_value = "github-actions[bot]")]
    author: String,
}

/// Comments. What cannot be commented is a warning: the summary of the job has the plan all the same.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let runner = Runner::read()?;
    let token = std::env::var("SPINWAY_TOKEN").unwrap_or_default();
    if token.is_empty() {
        warn(
            "There is no token to comment with, as for pull requests of forks; the plan is in the summary of the job.",
        );
        return Ok(0);
    }
    let Some(number) = number(&runner, &arguments.reports) else {
        warn("This run belongs to no pull request, so there is nothing to comment on.");
        return Ok(0);
    };
    let request = PullRequest {
        api: arguments.api.clone(),
        repository: arguments.repository.clone(),
        number,
        token,
        author: arguments.author.clone(),
    };
    if runner.event_name == "workflow_run"
        && let Err(error) = request.is_at(runner.text("/workflow_run/head_sha")).await
    {
        return Err(Failure::refused(error.to_string(), "The reports name a pull request that is not theirs."));
    }
    for (environment, path) in reports(&arguments.reports)? {
        let report = match std::fs::read(&path)
            .map_err(|e| e.to_string())
            .and_then(|t| Report::read(&t).map_err(|e| e.to_string()))
        {
            Ok(report) => report,
            Err(error) => {
                warn(&format!("{}: {error}", path.display()));
                continue;
            }
        };
        let worth = report.refused.is_some()
            || !report.notices.is_empty()
            || !report.diagnostics.is_empty()
            || report.changes.iter().any(|row| row.action != Action::Unchanged);
        // The marker needs some room.
        let text = markdown_within(&report, MAX_COMMENT - 200);
        match request.comment(&environment, &text, worth).await {
            Ok(Commented::Made | Commented::Updated | Commented::Same | Commented::Nothing) => {}
            Err(error) => warn(&format!("The comment for {environment} was not written: {error}.")),
        }
    }
    Ok(0)
}

/// The number of the pull request: of the event, else of the reports, which is held against the server then.
fn number(runner: &Runner, reports: &Path) -> Option<u64> {
    let told = runner.event.pointer("/pull_request/number").and_then(serde_json::Value::as_u64);
    let noted = || std::fs::read_to_string(reports.join("pull-request")).ok()?.trim().parse().ok();
    told.or_else(|| noted().filter(|_| runner.event_name == "workflow_run"))
}

/// The reports with the environments that their names say; others' names are only letters here.
fn reports(folder: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("{}: {error}", folder.display()), "");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)?.flatten() {
        let path = entry.path();
        let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        if plain
            && path.extension().is_some_and(|extension| extension == "json")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            found.push((name.to_owned(), path));
        }
    }
    found.sort();
    found.truncate(MOST);
    Ok(found)
}
