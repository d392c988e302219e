//! `spinway apply`.

use super::common::{Connection, LiveOptions, Output, Planning, Repository, now};
use super::failure::{FAILED, Failure, REFUSED};
use super::progress::Progress;
use super::signals::interrupted;
use super::{plan, ui};
use crate::object::Untrusted;
use crate::ops::{self, Event, Outcome, Planned, Settings};
use crate::plan::Action;
use crate::report::Report;
use clap::Args;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Show the plan, ask, and do it in dependency order, with health waits and pruning
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    planning: Planning,
    /// Do not ask
    #[arg(short, long, env = "SPINWAY_YES")]
    yes: bool,
    /// Do only this plan: its digest, or a file with the JSON report of `spinway plan`
    #[arg(long, env = "SPINWAY_PLAN", value_name = "DIGEST|FILE")]
    plan: Option<String>,
    /// Seconds that an object may take to become healthy
    #[arg(long, env = "SPINWAY_TIMEOUT", value_name = "SECONDS", default_value_t = 600.0)]
    timeout: f64,
    /// Do not wait for health, except before something is taken away: other steps start as soon as what they need was
    /// written
    #[arg(long, env = "SPINWAY_NO_WAIT")]
    no_wait: bool,
    /// Writes, and looks at what becomes healthy, under way at once; fewer while the API server is busy
    #[arg(long, env = "SPINWAY_CONCURRENCY", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    #[command(flatten)]
    output: Output,
}

/// Plans, asks, applies, reports.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let live = LiveOptions { connection: arguments.connection.clone(), snapshot: None, against: None };
    let mut planned = plan::planned(&arguments.repository, &live, &arguments.planning).await?;
    ui::diagnostics(&planned.plan.diagnostics, &planned.repository.tree, arguments.output.quiet);
    if let Some(wanted) = &arguments.plan {
        check_digest(wanted, &planned)?;
    }
    if planned.plan.refused.is_some() {
        arguments.output.write(&plan::report("apply", &planned, &arguments.output))?;
        return Ok(REFUSED);
    }
    if planned.plan.has_work() && !arguments.yes {
        if !ui::is_interactive() {
            return Err(Failure::usage("there is no terminal to ask on: give --yes"));
        }
        ui::progress(&crate::report::text(
            &plan::report("plan", &planned, &arguments.output),
            ui::colours_stdout(),
            arguments.output.verbose,
        ));
        if !ui::ask("Apply this plan?") {
            ui::progress("Nothing was done.");
            return Ok(0);
        }
    }
    let (outcome, signal) = perform(&arguments, &mut planned).await;
    come_back(&arguments, &live, &planned, &outcome).await?;
    let report = finished(&planned, &outcome, &arguments.output);
    arguments.output.write(&report)?;
    let code = code(&planned, &outcome, &report, &arguments.output, signal);
    planned.leave();
    Ok(code)
}

/// Apps with `onFailure: rollback` that did not become healthy come back at once: their last healthy version is planned in
/// the place of this one and applied. The apply has failed all the same.
async fn come_back(
    arguments: &Arguments,
    live: &LiveOptions,
    planned: &Planned,
    outcome: &Outcome,
) -> Result<(), Failure> {
    let found = ops::bring_back(planned, Some(outcome), arguments.timeout).await;
    for comeback in &found {
        ui::progress(&comeback.text().terminal());
    }
    if !found.iter().any(|comeback| comeback.held.is_ok()) {
        return Ok(());
    }
    let mut planned = plan::planned(&arguments.repository, live, &arguments.planning).await?;
    if let Some(refused) = &planned.plan.refused {
        ui::progress(&format!("error: {}", refused.message.terminal()));
        return Ok(());
    }
    let (outcome, _) = perform(arguments, &mut planned).await;
    for (object, why) in &outcome.unhealthy {
        let object = Untrusted::new(object.to_string());
        ui::progress(&format!("error: {} did not come back: {}", object.terminal(), why.terminal()));
    }
    planned.leave();
    Ok(())
}

/// Applies, unless a signal comes; gives its exit code.
async fn perform(arguments: &Arguments, planned: &mut Planned) -> (Outcome, u8) {
    let settings = Settings {
        deadline: arguments.timeout,
        wait: !arguments.no_wait,
        follow: true,
        concurrency: usize::from(arguments.concurrency),
        now: now(),
        ..Settings::default()
    };
    let signalled = AtomicU8::new(0);
    let interrupted = async {
        signalled.store(interrupted().await, Ordering::Relaxed);
        ui::progress("Interrupted: finishing what is in flight. Run the same command again to complete it.");
    };
    let mut interrupt = std::pin::pin!(interrupted);
    let (streams, quiet) = (arguments.output.streams(), arguments.output.quiet);
    let mut progress = Progress::new(planned.plan.steps.len(), ui::is_interactive() && !streams && !quiet);
    let mut tell = |event: Event| {
        if streams {
            // A reader that went away hears no more; the apply goes on.
            let _ = ui::write(None, &format!("{}\n", serde_json::to_string(&event).unwrap_or_default()));
        } else if !quiet {
            progress.tell(&event);
        }
    };
    let outcome = ops::apply(planned, settings, interrupt.as_mut(), &mut tell).await;
    progress.finish();
    let code = signalled.load(Ordering::Relaxed);
    (outcome, code)
}

/// Refuses when the plan is not the one that was asked for.
fn check_digest(wanted: &str, planned: &Planned) -> Result<(), Failure> {
    let digest = if wanted.starts_with("sha256:") {
        wanted.to_owned()
    } else {
        let text =
            std::fs::read_to_string(Path::new(wanted)).map_err(|e| Failure::failed(format!("{wanted}: {e}"), ""))?;
        let report: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| Failure::failed(format!("{wanted}: not a report: {e}"), ""))?;
        report.get("digest").and_then(|d| d.as_str()).unwrap_or_default().to_owned()
    };
    if digest == planned.plan.digest {
        return Ok(());
    }
    Err(Failure::refused(
        format!("the plan is now {}, not {digest}", planned.plan.digest),
        "The repository or the cluster has changed since; look at the new plan.",
    ))
}

/// The report after an apply: the plan with its results, and the health as it is now.
fn finished(planned: &Planned, outcome: &Outcome, output: &Output) -> Report {
    let mut report = plan::report("apply", planned, output);
    for (row, change) in report.changes.iter_mut().zip(&planned.plan.changes) {
        row.result = outcome.results.get(&change.object).cloned();
    }
    report
}

fn code(planned: &Planned, outcome: &Outcome, report: &Report, output: &Output, signal: u8) -> u8 {
    let blocked = planned.plan.changes.iter().any(|c| c.action == Action::Blocked);
    if let Some(message) = &outcome.inventory {
        ui::progress(&format!("error: the inventory could not be written: {}", message.terminal()));
    }
    if outcome.interrupted {
        signal
    } else if blocked || !outcome.complete || outcome.inventory.is_some() || output.fails(report) {
        FAILED
    } else {
        0
    }
}
