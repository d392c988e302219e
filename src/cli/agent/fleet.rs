//! One turn for each member of a fleet that falls to this agent.

use super::{Arguments, once};
use crate::agent::{Fleet, Interrupt, Member, Shard};
use crate::cli::common::{Format, Target};
use crate::cli::failure::{FAILED, Failure, LOCKED, REFUSED};
use clap::Args;
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tracing::Instrument as _;

/// So many members are done at once: one whose cluster does not answer holds up no other.
const AT_ONCE: usize = 4;
/// Stands for a member's name in files that each has of its own.
const PLACE: &str = "{member}";

/// Which environments and clusters.
#[derive(Args, Clone)]
pub(super) struct Options {
    /// One turn for each member of this file: {members: [{name, env, kubeconfig, context}]}. Files for metrics, snapshots and
    /// reports are named with {member}
    #[arg(long, env = "SPINWAY_FLEET", value_name = "FILE", requires = "once", conflicts_with_all = ["interval", "env", "kubeconfig", "context", "metrics"])]
    pub(super) fleet: Option<PathBuf>,
    /// Only the members that fall to this one of so many agents, as 0/8
    #[arg(long, env = "SPINWAY_SHARD", value_name = "INDEX/COUNT", requires = "fleet", default_value = "0/1")]
    shard: Shard,
    /// The member that a turn is for.
    #[arg(skip)]
    pub(super) of: Option<String>,
}

/// Reads a fleet, with its text.
pub(in crate::cli) fn read(path: &Path) -> Result<(Fleet, String), Failure> {
    let shown = |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()), "");
    let text = std::fs::read_to_string(path).map_err(|error| shown(&error))?;
    let fleet: Fleet = serde_yaml::from_str(&text).map_err(|error| shown(&error))?;
    match fleet.fault() {
        Some(fault) => Err(shown(&fault)),
        None => Ok((fleet, text)),
    }
}

/// Does one turn for each member; the exit code is that of the worst.
pub(super) async fn run(arguments: &Arguments, path: &Path, interrupt: &Interrupt) -> Result<u8, Failure> {
    let (fleet, _) = read(path)?;
    arguments.check_files()?;
    arguments.check_environments(&fleet)?;
    let turns = fleet.share(arguments.members.shard).map(|member| async move {
        if interrupt.clone().now_or_never().is_some() {
            return (member.name.as_str(), Ok(None));
        }
        let span = tracing::info_span!("member", name = member.name);
        let done = async { once(&arguments.of(member), interrupt).await }.instrument(span).await;
        (member.name.as_str(), done.map(|code| Some(code).filter(|_| interrupt.peek().is_none())))
    });
    let mut done: Vec<(&str, Result<Option<u8>, Failure>)> =
        stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
    done.sort_by_key(|(name, _)| *name);
    let (mut codes, mut lines) = (Vec::new(), String::new());
    for (name, result) in done {
        let (code, text) = match result {
            Ok(None) => (0, "interrupted".to_owned()),
            Ok(Some(0)) => (0, "done".to_owned()),
            Ok(Some(REFUSED)) => (REFUSED, "refused; see the log".to_owned()),
            Ok(Some(code)) => (code, "failed; see the log".to_owned()),
            Err(failure) => failure.summary(),
        };
        // Writing to memory cannot fail.
        let _ = writeln!(lines, "{name:<24} {text}");
        codes.push(code);
    }
    Target { format: Format::Text, file: None }.write(&lines)?;
    let worst = [FAILED, REFUSED, LOCKED].into_iter().find(|code| codes.contains(code));
    Ok(worst.or_else(|| codes.into_iter().max()).unwrap_or(0))
}

impl Arguments {
    /// Files that each member writes must not be the same.
    fn check_files(&self) -> Result<(), Failure> {
        let reports = self.output.output.iter().map(|target| target.file.as_ref());
        let own = [&self.telling.metrics_file, &self.keeping.snapshot_file].into_iter().flatten().map(Some);
        let is_named = |file: Option<&PathBuf>| file.is_some_and(|path| path.to_string_lossy().contains(PLACE));
        if reports.chain(own).all(is_named) {
            return Ok(());
        }
        Err(Failure::usage(format!("with --fleet each file is named with {PLACE}, as -o json=reports/{PLACE}.json")))
    }

    /// What is kept for an environment must not be written for two clusters.
    fn check_environments(&self, fleet: &Fleet) -> Result<(), Failure> {
        if self.keeping.snapshot_branch.is_none() && self.telling.statuses.is_none() {
            return Ok(());
        }
        match fleet.shared_environment() {
            None => Ok(()),
            Some(environment) => Err(Failure::usage(format!(
                "two members are of environment `{environment}`, and a snapshot branch or commit status is one for each \
                 environment: use --snapshot-file, or give each cluster an environment of its own"
            ))),
        }
    }

    /// The arguments for one member.
    fn of(&self, member: &Member) -> Self {
        let named = |path: &PathBuf| PathBuf::from(path.to_string_lossy().replace(PLACE, &member.name));
        let mut of = self.clone();
        of.members.fleet = None;
        of.members.of = Some(member.name.clone());
        of.env.clone_from(&member.env);
        of.connection.kubeconfig.clone_from(&member.kubeconfig);
        of.connection.context.clone_from(&member.context);
        of.telling.metrics_file = of.telling.metrics_file.as_ref().map(named);
        of.keeping.snapshot_file = of.keeping.snapshot_file.as_ref().map(named);
        of.git.git_cache = Some(self.cache().join(&member.name));
        for target in &mut of.output.output {
            target.file = target.file.as_ref().map(named);
        }
        of
    }
}
