//! `spinway check`.

use super::common::{Format, Repository, Target};
use super::failure::{FAILED, Failure};
use super::ui;
use crate::check::{self, AtApply, CHECKS};
use crate::object::{GroupKind, Severity, Untrusted};
use crate::ops::{self, Beside, Checked};
use crate::report::{self, Report};
use crate::schema::Release;
use crate::source;
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Check the repository without a cluster: what it says, and what its tenants may
///
/// Checks every environment unless one is named. Exit code 1 when there are errors.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The format, and a file for it; may be given several times [text, json, markdown, sarif, junit, github]
    #[arg(short, long, env = "SPINWAY_OUTPUT", value_name = "FORMAT[=FILE]", value_delimiter = ',')]
    output: Vec<Target>,
    /// The revision that a change is based on: its rules (spinway.yaml, Approvals) judge, and their change is said first
    #[arg(long, env = "SPINWAY_BASE", value_name = "REV")]
    base: Option<String>,
    /// Hold routes against this release of a Gateway controller instead of those in the Config: nginx-gateway-fabric@2.7.0
    #[arg(long, env = "SPINWAY_CONTROLLER", value_name = "RELEASE", value_parser = Release::parse)]
    controller: Option<Release>,
    /// Read types, live objects and the features of Gateway controllers from a snapshot of the environment's cluster
    #[arg(long, env = "SPINWAY_SNAPSHOT", value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Leave out the findings that this file knows (--write-baseline), so that old ones can be mended one at a time
    #[arg(long, env = "SPINWAY_BASELINE", value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the findings there are to a baseline file, and succeed
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// Print the lists that would allow each tenant what its files use now, where it has none, instead of checking
    #[arg(long, conflicts_with_all = ["output", "baseline", "write_baseline", "explain"])]
    suggest_rules: bool,
    /// Print the page of a check instead: its id (SPW101), its name, or the id of any other finding (yaml-syntax)
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
}

/// Checks.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if let Some(asked) = &arguments.explain {
        return explain(asked);
    }
    let beside = Beside {
        base: arguments.base.clone(),
        controller: arguments.controller.clone(),
        snapshot: arguments.snapshot.clone(),
    };
    if arguments.suggest_rules {
        let text = ops::suggest_rules(&arguments.repository.given(), arguments.base.as_deref())?;
        let none = "# Every tenant has the lists that its files need.\n";
        Target { format: Format::Text, file: None }.write(if text.is_empty() { none } else { &text })?;
        return Ok(0);
    }
    let mut checked = ops::check(&arguments.repository.given(), &beside)?;
    if let Some(file) = &arguments.write_baseline {
        let target = Target { format: Format::Text, file: Some(file.clone()) };
        target.write(&check::baseline(&checked.found))?;
        return Ok(0);
    }
    if let Some(file) = &arguments.baseline {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::failed(format!("{}: {error}", file.display()), "--write-baseline makes it."))?;
        let mended = check::without_known(&mut checked.found, &text);
        checked.notices.extend(
            mended
                .iter()
                .map(|line| Untrusted::new(format!("{} is mended and still has the line: {line}", file.display()))),
        );
    }
    let text = vec![Target { format: Format::Text, file: None }];
    for target in if arguments.output.is_empty() { &text } else { &arguments.output } {
        target.write(&rendered(target, &checked, &arguments.repository.directory)?)?;
    }
    Ok(if checked.count(Severity::Error) > 0 { FAILED } else { 0 })
}

fn rendered(target: &Target, checked: &Checked, directory: &Path) -> Result<String, Failure> {
    // GitHub names files from the root of the Git repository, wherever this one begins in it.
    let of_git = || {
        let folder = source::place_in_git(directory);
        let found: Vec<_> = checked.found.iter().map(|finding| finding.clone().below(&folder)).collect();
        Report { notices: checked.notices.clone(), ..report::from_check(&found) }
    };
    let made = Report { notices: checked.notices.clone(), ..report::from_check(&checked.found) };
    Ok(match target.format {
        Format::Text => {
            let colour = target.file.is_none() && ui::colours_stdout();
            let notices = checked.notices.iter().map(|notice| format!("{}\n\n", notice.terminal())).collect::<String>();
            notices + &report::diagnostics_text(&checked.found, &checked.repository.tree, colour) + &summary(checked)
        }
        Format::Json => made.json() + "\n",
        Format::Markdown => report::markdown(&made),
        Format::Sarif => format!("{:#}\n", report::sarif(&of_git())),
        Format::Junit => report::junit(&made),
        Format::Github => report::github(&of_git()),
        _ => return Err(Failure::usage("check has the formats text, json, markdown, sarif, junit and github")),
    })
}

fn summary(checked: &Checked) -> String {
    let of = match checked.environments.as_slice() {
        [] => String::new(),
        names => format!(" in {}", names.join(", ")),
    };
    let count = |severity, one: &str| match checked.count(severity) {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    let counts = [count(Severity::Error, "error"), count(Severity::Warning, "warning"), count(Severity::Note, "note")];
    format!("{}{of}.\n{}", counts.join(", "), at_apply(&checked.at_apply))
}

/// What only the API server can say, in a sentence.
fn at_apply(AtApply { built_in, undefined, by_table }: &AtApply) -> String {
    let named = |kinds: &BTreeSet<GroupKind>| kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    match built_in.len() {
        0 => {}
        1 => parts.push("what Kubernetes demands of 1 object of its own kinds beyond its schema".to_owned()),
        n => parts.push(format!("what Kubernetes demands of {n} objects of its own kinds beyond their schema")),
    }
    if !undefined.is_empty() {
        parts.push(format!("kinds without a definition here ({})", named(undefined)));
    }
    let verified = if parts.is_empty() { String::new() } else { format!("Verified at apply: {}.\n", parts.join("; ")) };
    if by_table.is_empty() {
        return verified;
    }
    format!(
        "{verified}Checked by built-in tables of Gateway API: {}. Keep its definitions in the repository, or use `--snapshot`, to check \
         all of their rules.\n",
        by_table.iter().map(|kind| kind.kind.as_str()).collect::<Vec<_>>().join(", ")
    )
}

fn explain(asked: &str) -> Result<u8, Failure> {
    let Some(page) = check::explain(asked) else {
        let known: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        return Err(Failure::usage(format!("there is no check `{asked}`; there are: {}", known.join(", "))));
    };
    let target = Target { format: Format::Text, file: None };
    target.write(&page)?;
    Ok(0)
}
