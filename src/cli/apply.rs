//! `spinway apply`.

use super::common::{Connection, LiveOptions, Output, Planning, Repository, now};
use super::failure::{FAILED, Failure, REFUSED};
use super::progress::Progress;
use super::signals::{Interrupt, interrupt};
use super::{plan, ui};
use crate::cluster::{Cluster, LeaseError};
use crate::object::Untrusted;
use crate::ops::{self, Event, Lock, Outcome, Planned, REPLANS, Settings, Writer, holder, lost, machine};
use crate::plan::Action;
use crate::report::Report;
use clap::Args;
use std::path::Path;
use std::time::Duration;

/// Show the plan, ask, and do it in dependency order, with health waits and pruning
///
/// One writer at a time: before its first write it takes the Lease of the environment, the same as the agent. When someone
/// else wrote since the plan was made, the plan is made anew; on a terminal you are asked again if it differs. Exit code 4:
/// someone else still held the Lease after --lock-timeout, and nothing was done.
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
    locking: Locking,
    #[command(flatten)]
    output: Output,
}

/// How other writers are kept out.
#[derive(Args)]
struct Locking {
    /// Seconds to wait for the Lease while another apply or agent holds it; longer than --lease, so that a writer that was
    /// killed is succeeded
    #[arg(long, env = "SPINWAY_LOCK_TIMEOUT", value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(0..=86400))]
    lock_timeout: u64,
    /// Do not take the Lease: for accounts without the right to Leases, when nobody else writes to the environment
    #[arg(long, env = "SPINWAY_NO_LOCK")]
    no_lock: bool,
    /// Seconds that the Lease lasts when its holder is gone
    #[arg(long, env = "SPINWAY_LEASE", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=3600))]
    lease: u64,
}

/// How an apply ended.
enum Ending {
    /// What was agreed to was done, or was cut short by a signal (its exit code) or by the loss of the Lease.
    Done { outcome: Outcome, signal: u8, lost: bool },
    /// The plan that was made anew is refused.
    Refused,
    /// The person declined it.
    Declined,
    /// A signal came before anything was written; its exit code.
    Interrupted(u8),
}

/// Plans, asks, applies, reports.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let live = LiveOptions { connection: arguments.connection.clone(), snapshot: None, against: None };
    let mut planned = plan::planned(&arguments.repository, &live, &arguments.planning).await?;
    ui::diagnostics(&planned.plan.diagnostics, &planned.repository.tree, arguments.output.quiet);
    let wanted = arguments.plan.as_deref().map(digest_of).transpose()?;
    check_digest(wanted.as_deref(), &planned)?;
    if planned.plan.refused.is_some() {
        arguments.output.write(&plan::report("apply", &planned, &arguments.output))?;
        return Ok(REFUSED);
    }
    if planned.plan.has_work() && !arguments.yes {
        if !ui::is_interactive() {
            return Err(Failure::usage(UNATTENDED));
        }
        arguments.show(&planned);
        if !ui::ask(QUESTION) {
            ui::progress("Nothing was done.");
            return Ok(0);
        }
    }
    let mut apply = Apply { arguments: &arguments, wanted, interrupt: interrupt(), lock: None };
    let ended = apply.agreed(&mut planned).await;
    // However it ended.
    if let Some(lock) = apply.lock.take() {
        lock.release().await;
    }
    let output = &arguments.output;
    let code = match ended? {
        Ending::Done { outcome, signal, lost } => {
            let report = finished(&planned, &outcome, output);
            output.write(&report)?;
            code(&planned, &outcome, &report, output, signal, lost)
        }
        Ending::Refused => {
            output.write(&plan::report("apply", &planned, output))?;
            REFUSED
        }
        Ending::Declined => {
            ui::progress("Nothing was done.");
            0
        }
        Ending::Interrupted(code) => {
            ui::progress("Interrupted: nothing was done.");
            code
        }
    };
    planned.leave();
    Ok(code)
}

const QUESTION: &str = "Apply this plan?";
const UNATTENDED: &str = "there is no terminal to ask on: give --yes";
const UNLOCKED: &str = "warning: the Lease of the environment is not taken (--no-lock): another apply or an agent may write \
                        at the same time";

impl Arguments {
    /// Shows a plan on the terminal.
    fn show(&self, planned: &Planned) {
        let report = plan::report("plan", planned, &self.output);
        ui::progress(&crate::report::text(&report, ui::colours_stdout(), self.output.verbose));
    }
}

/// An apply that was agreed to.
struct Apply<'a> {
    arguments: &'a Arguments,
    /// The digest of the only plan that may be done.
    wanted: Option<String>,
    interrupt: Interrupt,
    /// The Lease, while it is held.
    lock: Option<Lock>,
}

impl Apply<'_> {
    /// Does what was agreed to, once nobody else writes. When someone wrote since it was planned, it is planned anew under
    /// the Lease, so that nobody can come in between again.
    async fn agreed(&mut self, planned: &mut Planned) -> Result<Ending, Failure> {
        if self.arguments.locking.no_lock && !ops::is_idle(planned) {
            ui::progress(UNLOCKED);
        }
        let idle = ops::is_idle(planned);
        if let Some(ended) = self.secure(planned).await? {
            return Ok(ended);
        }
        let mut ended = self.perform(planned).await;
        // What was waited for without the Lease is healthy by now: the history has to learn it.
        if idle && ops::is_unrecorded(planned) {
            if let Some(ended) = self.secure(planned).await? {
                return Ok(ended);
            }
            ended = self.perform(planned).await;
        }
        if let Ending::Done { outcome, signal: 0, lost: false } = &ended {
            self.come_back(planned, outcome).await?;
        }
        Ok(ended)
    }

    /// Apps with `onFailure: rollback` that did not become healthy come back at once, under the same Lease: their last healthy
    /// version is planned in the place of this one and applied. The apply has failed all the same.
    async fn come_back(&mut self, planned: &Planned, outcome: &Outcome) -> Result<(), Failure> {
        let arguments = self.arguments;
        let found = ops::bring_back(planned, Some(outcome), arguments.timeout).await;
        for comeback in &found {
            ui::progress(&comeback.text().terminal());
        }
        let (Some(cluster), true) = (&planned.cluster, found.iter().any(|comeback| comeback.held.is_ok())) else {
            return Ok(());
        };
        let (given, options) = (arguments.repository.given(), arguments.planning.options());
        let mut planned = ops::plan_again(&given, cluster.clone(), &options).await?;
        let mut ended = None;
        if planned.plan.refused.is_none() {
            ended = self.secure(&mut planned).await?;
        }
        if planned.plan.refused.is_none() && ended.is_none() {
            ended = Some(self.perform(&mut planned).await);
        }
        if let Some(refused) = &planned.plan.refused {
            ui::progress(&format!("error: {}", refused.message.terminal()));
        }
        if let Some(Ending::Done { outcome, .. }) = ended {
            for (object, why) in &outcome.unhealthy {
                let object = Untrusted::new(object.to_string());
                ui::progress(&format!("error: {} did not come back: {}", object.terminal(), why.terminal()));
            }
        }
        planned.leave();
        Ok(())
    }

    /// Takes the Lease when there is something to write, and makes sure that the plan still stands; gives how it ended
    /// before anything was written, if it did.
    async fn secure(&mut self, planned: &mut Planned) -> Result<Option<Ending>, Failure> {
        for made in 1.. {
            if ops::is_idle(planned) {
                break;
            }
            let is_new = match self.take_lock(planned).await? {
                Ok(is_new) => is_new,
                Err(signal) => return Ok(Some(Ending::Interrupted(signal))),
            };
            if !self.is_overtaken(planned, is_new).await? {
                break;
            }
            if made == REPLANS {
                return Err(Failure::failed(
                    format!(
                        "someone else wrote to environment `{}` while it was planned, {REPLANS} times in a row",
                        planned.plan.environment
                    ),
                    "Nothing was done. Run the same command again; `spinway history` shows who writes.",
                ));
            }
            let interrupt = self.interrupt.clone();
            let ended = tokio::select! {
                biased;
                signal = interrupt => Some(Ending::Interrupted(signal)),
                again = self.plan_again(planned) => again?,
            };
            if ended.is_some() {
                return Ok(ended);
            }
        }
        Ok(None)
    }

    /// Takes the Lease unless it is held already; gives whether it was taken just now, or the exit code of a signal.
    async fn take_lock(&mut self, planned: &Planned) -> Result<Result<bool, u8>, Failure> {
        let locking = &self.arguments.locking;
        // Without a Config there is no environment that others could write to.
        let (Some(cluster), Some(_), None) = (&planned.cluster, &planned.desired.config, &self.lock) else {
            return Ok(Ok(false));
        };
        if locking.no_lock {
            return Ok(Ok(false));
        }
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
        let place = if user.is_empty() { machine() } else { format!("{user}@{}", machine()) };
        let patience = Some(Duration::from_secs(locking.lock_timeout));
        let writer = Writer { holder: holder(&place), lease: Duration::from_secs(locking.lease), patience };
        let mut tell = |lease: &str, holder: &str| {
            let (lease, holder) = (Untrusted::new(lease).terminal(), Untrusted::new(holder).terminal());
            ui::progress(&format!("Waiting up to {} s for Lease {lease}, which {holder} holds.", locking.lock_timeout));
        };
        let taken = tokio::select! {
            biased;
            signal = self.interrupt.clone() => return Ok(Err(signal)),
            taken = Lock::take(cluster, planned, &writer, &mut tell) => taken,
        };
        self.lock = Some(taken.map_err(|error| not_locked(&error))?);
        Ok(Ok(true))
    }

    /// Whether someone wrote since it was planned.
    async fn is_overtaken(&self, planned: &Planned, is_new: bool) -> Result<bool, Failure> {
        let Some(cluster) = &planned.cluster else { return Ok(false) };
        let overtaken = match &self.lock {
            Some(lock) if is_new => lock.has_overtaken(planned).await,
            _ => ops::is_current(cluster, planned).await.map(|current| !current),
        };
        overtaken.map_err(|refused| {
            let text = format!("the inventory cannot be read: {} {}", refused.code, refused.message.terminal());
            Failure::failed(text, "Nothing was done.")
        })
    }

    /// Plans anew, and asks again when something else would be done than what was agreed to. Gives how it ended, if it did.
    async fn plan_again(&mut self, planned: &mut Planned) -> Result<Option<Ending>, Failure> {
        let Some(cluster) = planned.cluster.clone() else { return Ok(None) };
        let agreed = planned.plan.digest.clone();
        let arguments = self.arguments;
        *planned = ops::plan_again(&arguments.repository.given(), cluster, &arguments.planning.options()).await?;
        if planned.plan.refused.is_some() {
            return Ok(Some(Ending::Refused));
        }
        check_digest(self.wanted.as_deref(), planned)?;
        if planned.plan.digest == agreed || !planned.plan.has_work() {
            return Ok(None);
        }
        ui::progress("Someone else wrote to the environment in the meantime, so the plan was made anew.");
        if arguments.yes {
            return Ok(None);
        }
        if !ui::is_interactive() {
            return Err(Failure::usage(UNATTENDED));
        }
        // A person may take any time, in which others can write.
        if let Some(lock) = self.lock.take() {
            lock.release().await;
        }
        arguments.show(planned);
        let asked = tokio::task::spawn_blocking(|| ui::ask(QUESTION)).await;
        Ok((!asked.unwrap_or(false)).then_some(Ending::Declined))
    }

    /// Applies, unless a signal comes or the Lease is lost.
    async fn perform(&self, planned: &mut Planned) -> Ending {
        let arguments = self.arguments;
        let settings = Settings {
            deadline: arguments.timeout,
            wait: !arguments.no_wait,
            follow: true,
            concurrency: usize::from(arguments.concurrency),
            now: now(),
            ..Settings::default()
        };
        let cluster = planned.cluster.clone();
        planned.cluster = cluster.as_ref().map(|cluster| self.fenced(cluster));
        let interrupted = async {
            tokio::select! {
                _ = self.interrupt.clone() => {
                    ui::progress("Interrupted: finishing what is in flight. Run the same command again to complete it.");
                }
                () = self.lost() => {}
            }
        };
        let mut interrupted = std::pin::pin!(interrupted);
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
        let outcome = ops::apply(planned, settings, interrupted.as_mut(), &mut tell).await;
        progress.finish();
        planned.cluster = cluster;
        let signal = self.interrupt.peek().copied().unwrap_or_default();
        // When it is lost in the end, and all was done and recorded before, nothing is missing.
        let was_over = self.lock.as_ref().is_some_and(|lock| lock.fence().was_over());
        let lost = was_over && !(outcome.complete && outcome.inventory.is_none());
        Ending::Done { outcome, signal, lost }
    }

    fn fenced(&self, cluster: &Cluster) -> Cluster {
        self.lock.as_ref().map_or_else(|| cluster.clone(), |lock| cluster.fenced(lock.fence()))
    }

    /// Resolves when the Lease is lost; never without one.
    async fn lost(&self) {
        match &self.lock {
            Some(lock) => lost(lock.fence()).await,
            None => std::future::pending().await,
        }
    }
}

/// Why the Lease is not held, with what to do about it.
fn not_locked(error: &LeaseError) -> Failure {
    let message = error.to_string();
    match error {
        LeaseError::Held { .. } => Failure::locked(
            message,
            "Nothing was done. Wait until the other writer has finished (--lock-timeout), or see `spinway history`.",
        ),
        LeaseError::Forbidden { .. } => Failure::refused(
            message,
            "Nothing was done. Have a Role in that namespace with verbs get, create and update on leases of API group \
             coordination.k8s.io, or give --no-lock when nobody else writes to this environment.",
        ),
        LeaseError::NotServed => Failure::refused(
            message,
            "Nothing was done. Without Leases another writer cannot be kept out: give --no-lock when there is none.",
        ),
        LeaseError::Refused { .. } => Failure::failed(message, "Nothing was done. Run the same command again."),
    }
}

/// The digest of the plan that is asked for.
fn digest_of(wanted: &str) -> Result<String, Failure> {
    if wanted.starts_with("sha256:") {
        return Ok(wanted.to_owned());
    }
    let text = std::fs::read_to_string(Path::new(wanted)).map_err(|e| Failure::failed(format!("{wanted}: {e}"), ""))?;
    let report: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| Failure::failed(format!("{wanted}: not a report: {e}"), ""))?;
    Ok(report.get("digest").and_then(|d| d.as_str()).unwrap_or_default().to_owned())
}

/// Refuses when the plan is not the one that was asked for.
fn check_digest(wanted: Option<&str>, planned: &Planned) -> Result<(), Failure> {
    match wanted {
        Some(digest) if digest != planned.plan.digest => Err(Failure::refused(
            format!("the plan is now {}, not {digest}", planned.plan.digest),
            "The repository or the cluster has changed since; look at the new plan.",
        )),
        _ => Ok(()),
    }
}

/// The report after an apply: the plan with its results, and the health as it is now.
fn finished(planned: &Planned, outcome: &Outcome, output: &Output) -> Report {
    let mut report = plan::report("apply", planned, output);
    for (row, change) in report.changes.iter_mut().zip(&planned.plan.changes) {
        row.result = outcome.results.get(&change.object).map(crate::report::result);
    }
    report
}

fn code(planned: &Planned, outcome: &Outcome, report: &Report, output: &Output, signal: u8, lost: bool) -> u8 {
    let blocked = planned.plan.changes.iter().any(|c| c.action == Action::Blocked);
    if lost {
        ui::progress(
            "error: the Lease of the environment was lost, so nothing more was written. Run the same command again.",
        );
    } else if let Some(message) = &outcome.inventory {
        ui::progress(&format!("error: the inventory could not be written: {}", message.terminal()));
    }
    if outcome.interrupted && !lost {
        signal
    } else if lost || blocked || !outcome.complete || outcome.inventory.is_some() || output.fails(report) {
        FAILED
    } else {
        0
    }
}
