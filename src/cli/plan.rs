//! `spinway plan`.

use super::common::{LiveOptions, Output, Planning, Repository, costing};
use super::failure::{DIFFERENT, FAILED, Failure, REFUSED};
use super::ui;
use crate::live::Source;
use crate::object::did_you_mean;
use crate::ops::{self, Planned};
use crate::report::{Report, from_plan, health_rows, mark_known};
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
    let report = report("plan", &planned, &arguments.output);
    arguments.output.write(&report)?;
    let code = code(&planned, &report, &arguments.output);
    planned.leave();
    Ok(code)
}

/// Plans as the options say.
pub(super) async fn planned(
    repository: &Repository,
    live: &LiveOptions,
    planning: &Planning,
) -> Result<Planned, Failure> {
    let planned = ops::plan(&repository.given(), &live.source(), &planning.options()).await?;
    let tenants: Vec<&str> = planned.desired.rules().partitions();
    let options = planning.options();
    if let Some(asked) = options.select.tenants.iter().find(|asked| !tenants.contains(&asked.as_str())) {
        let meant = did_you_mean(asked, tenants.iter().copied());
        let meant = meant.unwrap_or_else(|| format!("There are: {}.", tenants.join(", ")));
        return Err(Failure::usage(format!("there is no tenant `{asked}`. {meant}")));
    }
    if planned.plan.changes.is_empty() && !planning.options().select.is_everything() {
        return Err(Failure::usage("the selection matches no object of the repository"));
    }
    Ok(planned)
}

/// The report of a plan, with what it cost; with the health of every object where that is shown or asked for.
pub(super) fn report(verb: &'static str, planned: &Planned, output: &Output) -> Report {
    report_of(verb, planned, verb == "status" || output.wants_health())
}

/// The report of a plan, with what it cost.
pub(super) fn report_of(verb: &'static str, planned: &Planned, health: bool) -> Report {
    let mut report = from_plan(verb, &planned.plan, &planned.desired);
    mark_known(&mut report, &planned.plan, &planned.known);
    // A revision has none.
    if health && planned.reading.live.source != Source::Revision {
        report.health = health_rows(&planned.desired, &planned.reading.live);
    }
    report.revision.clone_from(&planned.repository.revision);
    report.seconds = planned.seconds.iter().map(|(phase, seconds)| ((*phase).into(), *seconds)).collect();
    match &planned.cluster {
        Some(cluster) => costing(report, cluster),
        None => report,
    }
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
