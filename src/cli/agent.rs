//! `spinway agent`.

pub(super) mod fleet;

use super::common::{Connection, Output, Rewrites, costing, now};
use super::failure::{FAILED, Failure, REFUSED};
use super::plan::report_of;
use super::signals::interrupted;
use crate::agent::{Agent, Interrupt, Snapshots, Tellers, Trouble, Turn};
use crate::notify::{Messages, Routes, Statuses, serve};
use crate::ops::{Event, Settings, Writer, holder, machine};
use crate::report::{Report, drift_only, from_drift};
use crate::source::{Branch, Remote, Secrets, Signers, Want, cache_below};
use clap::Args;
use futures::FutureExt as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pull the repository from its Git server, apply it, report
///
/// One turn with --once, as a CronJob does it; one after the other with --interval. A turn with nothing to write takes no
/// lock and writes nothing. Exit codes of --once: 0 the turn was completed, whatever single objects did (see --fail-on);
/// 1 it could not do its job; 3 refused, nothing was done; 4 another agent writes.
#[derive(Args, Clone)]
pub(super) struct Arguments {
    /// The repository: https://…, ssh://… or USER@HOST:PATH
    #[arg(long, env = "SPINWAY_REPOSITORY", value_name = "URL")]
    repository: String,
    /// Do one turn
    #[arg(long, env = "SPINWAY_ONCE", conflicts_with = "interval")]
    once: bool,
    /// Do turns, asking the Git server so often (60s, 5m); what others change is seen within seconds
    #[arg(long, env = "SPINWAY_INTERVAL", value_name = "SPAN", value_parser = span)]
    interval: Option<Duration>,
    #[command(flatten)]
    members: fleet::Options,
    #[command(flatten)]
    revision: Revision,
    /// The folder of the repository that holds spinway.yaml
    #[arg(long, env = "SPINWAY_PATH", value_name = "DIR")]
    path: Option<PathBuf>,
    /// The environment; needed when there are several
    #[arg(long, env = "SPINWAY_ENV", value_name = "NAME")]
    env: Option<String>,
    #[command(flatten)]
    git: Git,
    #[command(flatten)]
    connection: Connection,
    /// The namespace of the inventory, which is looked at before the repository is read
    #[arg(long, env = "SPINWAY_INVENTORY_NAMESPACE", value_name = "NAME", default_value = "spinway-system")]
    inventory_namespace: String,
    /// Adopt live objects that no inventory owns
    #[arg(long, env = "SPINWAY_ADOPT")]
    adopt: bool,
    /// Take over the inventory when the repository has moved
    #[arg(long, env = "SPINWAY_TAKE_INVENTORY")]
    take_inventory: bool,
    /// Seconds that a turn waits for an object to become healthy; what takes longer is looked at in the next turn
    #[arg(long, env = "SPINWAY_TIMEOUT", value_name = "SECONDS", default_value_t = 60.0)]
    timeout: f64,
    /// Writes, and looks at what becomes healthy, under way at once
    #[arg(long, env = "SPINWAY_CONCURRENCY", value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Seconds that the lease lasts when its holder is gone
    #[arg(long, env = "SPINWAY_LEASE", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=3600))]
    lease: u64,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    output: Output,
}

/// Who is told what a turn came to.
#[derive(Args, Clone)]
struct Telling {
    /// Write no Events on objects
    #[arg(long, env = "SPINWAY_NO_EVENTS")]
    no_events: bool,
    /// Write metrics to this file after each turn (textfile collector)
    #[arg(long, env = "SPINWAY_METRICS_FILE", value_name = "FILE")]
    metrics_file: Option<PathBuf>,
    /// Serve metrics at this address
    #[arg(long, env = "SPINWAY_METRICS", value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// Send messages as this file says: {routes: [{owners: [TEAM], url: URL, format: slack|json}]}
    #[arg(long, env = "SPINWAY_NOTIFY", value_name = "FILE")]
    notify: Option<PathBuf>,
    /// Set commit statuses here: https://api.github.com/repos/OWNER/NAME; the token is the file status-token of the Git
    /// secret, or SPINWAY_STATUS_TOKEN
    #[arg(long, env = "SPINWAY_STATUSES", value_name = "URL")]
    statuses: Option<String>,
}

/// Where snapshots for pull requests are kept.
#[derive(Args, Clone)]
struct Keeping {
    /// After each turn that finds something new, write what is live to this file, without secret values
    #[arg(long, env = "SPINWAY_SNAPSHOT_FILE", value_name = "FILE")]
    snapshot_file: Option<PathBuf>,
    /// The same to the branch NAME/ENVIRONMENT, which holds nothing but that and is written anew each time
    #[arg(long, env = "SPINWAY_SNAPSHOT_BRANCH", value_name = "NAME", requires = "snapshot_secret")]
    snapshot_branch: Option<String>,
    /// The repository of that branch; default: the one that is pulled
    #[arg(long, env = "SPINWAY_SNAPSHOT_REPOSITORY", value_name = "URL", requires = "snapshot_branch")]
    snapshot_repository: Option<String>,
    /// A folder as --git-secret, with credentials that may push that branch
    #[arg(long, env = "SPINWAY_SNAPSHOT_SECRET", value_name = "DIR")]
    snapshot_secret: Option<PathBuf>,
}

/// A span of time: `500ms`, `60s`, `5m`, `1h`.
fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("a span is a number with ms, s, m or h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "a span begins with a number".to_owned())?;
    let span = Duration::from_millis(number.saturating_mul(scale));
    let allowed = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
    if allowed.contains(&span) { Ok(span) } else { Err("a span is from 100ms to 24h".to_owned()) }
}

/// What is read of the repository.
#[derive(Args, Clone)]
#[group(multiple = false)]
struct Revision {
    /// Follow this branch
    #[arg(long, env = "SPINWAY_BRANCH", value_name = "NAME", default_value = "main")]
    branch: String,
    /// Follow this tag
    #[arg(long, env = "SPINWAY_TAG", value_name = "NAME")]
    tag: Option<String>,
    /// Stay at this commit
    #[arg(long, env = "SPINWAY_COMMIT", value_name = "ID")]
    commit: Option<String>,
}

/// How the Git server is talked to, and what of it is believed.
#[derive(Args, Clone)]
struct Git {
    /// A folder, as a mounted Secret, with any of: username, password or token, ca.crt, identity (an SSH key), known_hosts
    #[arg(long, env = "SPINWAY_GIT_SECRET", value_name = "DIR")]
    git_secret: Option<PathBuf>,
    /// The user name for HTTPS, where there is no file for it
    #[arg(long, env = "SPINWAY_GIT_USERNAME", value_name = "NAME")]
    git_username: Option<String>,
    /// The proxy for HTTPS; default: HTTPS_PROXY and NO_PROXY
    #[arg(long, env = "SPINWAY_GIT_PROXY", value_name = "URL")]
    git_proxy: Option<String>,
    /// Ask for a signature by one of these SSH keys (ssh-keygen(1), ALLOWED SIGNERS)
    #[arg(long, env = "SPINWAY_ALLOWED_SIGNERS", value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// Ask for a signature by one of these PGP keys (armored)
    #[arg(long, env = "SPINWAY_GPG_KEYRING", value_name = "FILE")]
    gpg_keyring: Option<PathBuf>,
    /// What is done when the applied revision is no longer part of the history
    #[arg(long, env = "SPINWAY_REWRITES", value_name = "refuse|allow", default_value = "refuse", value_enum)]
    rewrites: Rewrites,
    /// The folder of the cache, which may be empty; default: SPINWAY_CACHE, else a temporary one
    #[arg(long, env = "SPINWAY_GIT_CACHE", value_name = "DIR")]
    git_cache: Option<PathBuf>,
}

/// Does turns.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    if !arguments.once && arguments.interval.is_none() {
        return Err(Failure::usage("give --once for one turn, or --interval for turns one after the other"));
    }
    if let Some(path) = &arguments.members.fleet {
        let done = fleet::run(&arguments, path, &ending()).await;
        arguments.forget_cache();
        return done;
    }
    let interrupt = ending();
    let Some(interval) = arguments.interval else { return once(&arguments, &interrupt).await };
    let agent = arguments.agent()?;
    let mut snapshots = arguments.snapshots()?;
    let mut tellers = arguments.tellers()?;
    if let Some(address) = arguments.telling.metrics {
        let metrics = Arc::clone(&tellers.metrics);
        let text = Arc::new(move || metrics.lock().map(|metrics| metrics.text()).unwrap_or_default());
        let served = serve(address, text).await;
        served
            .map_err(|error| Failure::failed(format!("{address}: {error}"), "Choose another address for metrics."))?;
    }
    let output = &arguments.output;
    // A reader that went away hears no more; the turns go on.
    let mut each = |turn: &Turn| drop(report(turn, output).map(|report| output.write(&report)));
    let mut quietly = |_: &Turn| {};
    let each: &mut (dyn FnMut(&Turn) + Send) = if output.output.is_empty() { &mut quietly } else { &mut each };
    agent.run(interval, &mut tellers, &mut snapshots, &interrupt, &mut told, each).await;
    arguments.forget_cache();
    Ok(0)
}

/// Does one turn.
async fn once(arguments: &Arguments, interrupt: &Interrupt) -> Result<u8, Failure> {
    let agent = arguments.agent()?;
    let mut snapshots = arguments.snapshots()?;
    let mut tellers = arguments.tellers()?;
    let start = Instant::now();
    let mut turn = agent.turn(interrupt, &mut told).await;
    agent.tell(&mut turn, &mut tellers, start.elapsed().as_secs_f64(), interrupt.clone()).await;
    tokio::select! {
        biased;
        () = interrupt.clone() => {}
        () = snapshots.keep(&turn) => {}
    }
    arguments.forget_cache();
    let report = report(&turn, &arguments.output);
    // A member of a fleet says a line.
    let shown = report.as_ref().filter(|_| arguments.members.of.is_none() || !arguments.output.output.is_empty());
    if let Some(report) = shown {
        arguments.output.write(report)?;
    }
    if interrupt.peek().is_some() {
        return Ok(0);
    }
    code(turn, report.as_ref(), &arguments.output)
}

/// Resolves when a signal asks the process to end, also when it came before anybody waited for it.
fn ending() -> Interrupt {
    let signalled = tokio::spawn(interrupted());
    let interrupt = async {
        let _ = signalled.await;
    };
    interrupt.boxed().shared()
}

/// What happens, for the log.
fn told(event: Event) {
    match event {
        Event::Started { object, step, .. } => tracing::info!(object, ?step, "started"),
        Event::Done { object, step, seconds } => tracing::info!(object, ?step, seconds, "done"),
        Event::Waiting { object, reason, holds, .. } => {
            tracing::info!(object, reason = reason.raw(), ?holds, "waiting");
        }
        Event::Failed { object, step, reason, seconds } => {
            tracing::warn!(object, ?step, reason = reason.raw(), seconds, "failed");
        }
    }
}

impl Arguments {
    fn agent(&self) -> Result<Agent, Failure> {
        let text = |path: &Option<PathBuf>| -> Result<Option<String>, Failure> {
            let Some(path) = path else { return Ok(None) };
            let read = std::fs::read_to_string(path);
            read.map(Some).map_err(|error| Failure::failed(format!("{}: {error}", path.display()), ""))
        };
        let want = match (&self.revision.commit, &self.revision.tag) {
            (Some(id), _) => Want::Commit(id.clone()),
            (None, Some(name)) => Want::Tag(name.clone()),
            (None, None) => Want::Branch(self.revision.branch.clone()),
        };
        // A password is taken from the environment alone: arguments of a process can be read by others.
        let password =
            ["SPINWAY_GIT_PASSWORD", "SPINWAY_GIT_TOKEN"].into_iter().find_map(|name| std::env::var(name).ok());
        let secrets = Secrets {
            folder: self.git.git_secret.clone(),
            username: self.git.git_username.clone(),
            password,
            proxy: self.git.git_proxy.clone(),
        };
        let remote = Remote {
            url: self.repository.clone(),
            want,
            directory: self.path.clone().unwrap_or_default(),
            secrets,
            signers: Signers { ssh: text(&self.git.allowed_signers)?, pgp: text(&self.git.gpg_keyring)? },
            rewrites: self.git.rewrites == Rewrites::Allow,
            cache: cache_below(&self.cache(), &self.repository),
            using: Arc::default(),
        };
        let options = crate::plan::Options {
            adopt: self.adopt,
            take_inventory: self.take_inventory,
            now: now(),
            by_agent: true,
            ..crate::plan::Options::default()
        };
        let settings = Settings {
            deadline: self.timeout,
            wait: true,
            concurrency: usize::from(self.concurrency),
            ..Settings::default()
        };
        Ok(Agent {
            remote: Arc::new(remote),
            environment: self.env.clone(),
            kubeconfig: self.connection.kubeconfig.clone(),
            context: self.connection.context.clone(),
            inventory_namespace: self.inventory_namespace.clone(),
            options,
            settings,
            writer: Writer { holder: holder(&machine()), lease: Duration::from_secs(self.lease), patience: None },
            interval: self.interval,
        })
    }

    fn tellers(&self) -> Result<Tellers, Failure> {
        let routes = match &self.telling.notify {
            None => Routes::default(),
            Some(path) => {
                let shown = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()), "");
                let text = std::fs::read_to_string(path).map_err(|error| shown(&error))?;
                serde_yaml::from_str(&text).map_err(|error| shown(&error))?
            }
        };
        let token = || {
            let file = self.git.git_secret.as_ref().map(|folder| folder.join("status-token"));
            let text = file.and_then(|file| std::fs::read_to_string(file).ok());
            text.or_else(|| std::env::var("SPINWAY_STATUS_TOKEN").ok()).map(|text| text.trim().to_owned())
        };
        let statuses = match &self.telling.statuses {
            None => None,
            Some(url) => {
                let missing = "there is no token for commit statuses: a file status-token, or SPINWAY_STATUS_TOKEN";
                let token = token().ok_or_else(|| Failure::usage(missing))?;
                let memory = self.memory("status");
                Some(Statuses { url: url.clone(), token, memory, said: String::new() })
            }
        };
        Ok(Tellers {
            events: !self.telling.no_events,
            metrics: Arc::default(),
            metrics_file: self.telling.metrics_file.clone(),
            messages: Messages::new(routes, self.memory("told.json").as_deref()),
            statuses,
        })
    }

    fn snapshots(&self) -> Result<Snapshots, Failure> {
        let keeping = &self.keeping;
        let branch = match (&keeping.snapshot_branch, &self.env) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(Failure::usage("--snapshot-branch needs --env: each environment has its own"));
            }
            (Some(name), Some(environment)) => {
                let url = keeping.snapshot_repository.as_ref().unwrap_or(&self.repository);
                // The names and passwords of the environment are those that pull.
                let secrets = Secrets {
                    folder: keeping.snapshot_secret.clone(),
                    proxy: self.git.git_proxy.clone(),
                    ..Secrets::default()
                };
                let scratch = self.cache().join(format!("snapshot-{environment}-{}", std::process::id()));
                Some(Branch { url: url.clone(), secrets, name: format!("{name}/{environment}"), scratch })
            }
        };
        let memory = self.memory(&format!("snapshot-{}.json", self.env.as_deref().unwrap_or_default()));
        Ok(Snapshots { file: keeping.snapshot_file.clone(), branch, memory, written: None, failed: None })
    }

    /// Where something is remembered between processes: beside the cache, when that outlives this one.
    fn memory(&self, name: &str) -> Option<PathBuf> {
        (!self.is_own_cache()).then(|| self.cache().join(name))
    }

    /// The folder of the cache.
    fn cache(&self) -> PathBuf {
        let own = || std::env::temp_dir().join(format!("spinway-{}", std::process::id()));
        self.given_cache().unwrap_or_else(own)
    }

    fn given_cache(&self) -> Option<PathBuf> {
        let known = || std::env::var_os("SPINWAY_CACHE").map(PathBuf::from).filter(|path| path != Path::new(""));
        self.git.git_cache.clone().or_else(known)
    }

    /// Whether the cache is a temporary one of this process.
    fn is_own_cache(&self) -> bool {
        self.given_cache().is_none()
    }

    fn forget_cache(&self) {
        if self.is_own_cache() {
            let _ = std::fs::remove_dir_all(self.cache());
        }
    }
}

/// The report of a turn; none when nothing could be told.
fn report(turn: &Turn, output: &Output) -> Option<Report> {
    let Some(planned) = turn.planned.as_ref() else {
        let owned = turn.owned.as_ref()?;
        let drift = from_drift("", &owned.drift);
        return Some(costing(Report { verb: "agent".into(), ..drift }, &owned.cluster));
    };
    let mut report = report_of("agent", planned, output.wants_health());
    report.notices.clone_from(&turn.brought_back);
    if turn.trouble.as_ref().is_some_and(|trouble| !matches!(trouble, Trouble::Lost)) {
        // Nothing of it may be done: only what others changed is told.
        drift_only(&mut report);
    }
    if let Some(outcome) = &turn.outcome {
        for (row, change) in report.changes.iter_mut().zip(&planned.plan.changes) {
            row.result = outcome.results.get(&change.object).map(crate::report::result);
        }
    }
    report.requests.insert("GIT".into(), turn.pulled.requests);
    Some(report)
}

fn code(turn: Turn, report: Option<&Report>, output: &Output) -> Result<u8, Failure> {
    if let Some(trouble) = turn.trouble {
        return Err(match trouble {
            Trouble::Read(error) => error.into(),
            Trouble::Pull(error) if error.is_refusal() => Failure::refused(error.to_string(), REFUSED_HELP),
            Trouble::Pull(error) => Failure::failed(error.to_string(), "Nothing was done; the next turn tries again."),
            Trouble::Lease(error @ crate::cluster::LeaseError::Held { .. }) => {
                Failure::locked(error.to_string(), "Nothing was done; the next turn tries again.")
            }
            Trouble::Lease(error @ crate::cluster::LeaseError::Forbidden { .. }) => Failure::failed(
                error.to_string(),
                "`spinway install --permissions` prints the Roles that the agent needs.",
            ),
            error @ Trouble::Lost => Failure::failed(error.to_string(), "The next turn does the rest."),
            error @ (Trouble::Lease(_) | Trouble::Overtaken | Trouble::Interrupted) => {
                Failure::failed(error.to_string(), "")
            }
        });
    }
    let Some(planned) = &turn.planned else { return Ok(FAILED) };
    if planned.plan.refused.is_some() {
        return Ok(REFUSED);
    }
    if let Some(message) = turn.outcome.as_ref().and_then(|outcome| outcome.inventory.as_ref()) {
        return Err(Failure::failed(format!("the inventory could not be written: {}", message.terminal()), ""));
    }
    Ok(if report.is_some_and(|report| output.fails(report)) { FAILED } else { 0 })
}

const REFUSED_HELP: &str =
    "Nothing was applied and nothing was deleted; drift is still reported. See docs/guides/agent.md for each refusal.";
