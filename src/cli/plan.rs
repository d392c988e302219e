//! `spinway plan`.

use super::common::{LiveOptions, Output, Planning, Repository};
use super::failure::{DIFFERENT, FAILED, Failure, REFUSED};
use super::ui;
use crate::cluster::Cluster;
use crate::ops::{self, Planned};
use crate::report::{Report, from_plan};
use clap::Args;

/// Show what would change, why, and in which order; nothing is written
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    #[command(flatten)]
    live: LiveOptions,
    #[command(flatten)]
    planning: Planning,
    #[command(flatten)]
    output: Output,
}

/// Plans and reports.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let planned = planned(&arguments.repository, &arguments.live, &arguments.planning).await?;
    ui::diagnostics(&planned.plan.diagnostics, &planned.repository.tree, arguments.output.quiet);
    let report = report("plan", &planned);
    arguments.output.write(&report)?;
    Ok(code(&planned, &report, &arguments.output))
}

/// Plans as the options say.
pub(super) async fn planned(
    repository: &Repository,
    live: &LiveOptions,
    planning: &Planning,
) -> Result<Planned, Failure> {
    let (directory, reference, env) =
        (&repository.directory, repository.reference.as_deref(), repository.env.as_deref());
    let planned = ops::plan(directory, reference, env, &live.source(), &planning.options()).await?;
    if planned.plan.changes.is_empty() && !planning.options().select.is_everything() {
        return Err(Failure::usage("the selection matches no object of the repository"));
    }
    Ok(planned)
}

/// The report of a plan, with what it cost.
pub(super) fn report(verb: &'static str, planned: &Planned) -> Report {
    let mut report = from_plan(verb, &planned.plan, &planned.desired, &planned.reading.live);
    report.revision.clone_from(&planned.repository.revision);
    report.requests = planned.cluster.as_ref().map(Cluster::requests).unwrap_or_default();
    report.seconds.clone_from(&planned.seconds);
    report
}

/// The exit code of a read-only verb.
fn code(planned: &Planned, report: &Report, output: &Output) -> u8 {
    if planned.plan.refused.is_some() {
        REFUSED
    } else if output.fails(report) {
        FAILED
    } else if output.exit_code && planned.plan.has_differences() {
        DIFFERENT
    } else {
        0
    }
}
