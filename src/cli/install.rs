//! `spinway install`.

use super::agent::fleet::read as read_fleet;
use super::common::{Format, Repository, Target};
use super::failure::Failure;
use crate::agent::Fleet;
use crate::check::accepted;
use crate::desired::Desired;
use crate::install::{FleetSetting, Run, Setting, fleet as fleet_manifests, identity, manifests, permissions};
use crate::report::yaml;
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

/// Print the manifests that run the agent: its identity, the permissions that this repository needs, and a CronJob
///
/// An administrator applies them, and again when the repository uses a kind that it did not use before: --against shows
/// what changes. Everything is least: no wildcard, Secrets only in namespaces whose repository declares them.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The URL that the agent pulls
    #[arg(long, env = "SPINWAY_REPOSITORY", value_name = "URL", required_unless_present_any = ["permissions", "identity", "against"])]
    url: Option<String>,
    /// Only the Roles and their bindings
    #[arg(long)]
    permissions: bool,
    /// Only the Namespaces, the ServiceAccount and its Roles: for a cluster that an agent elsewhere turns to
    #[arg(long, conflicts_with_all = ["permissions", "against"])]
    identity: bool,
    /// Only the Roles that differ from those that another revision needs
    #[arg(long, env = "SPINWAY_AGAINST", value_name = "REV")]
    against: Option<String>,
    /// The image of the agent
    #[arg(long, value_name = "IMAGE", default_value = concat!("ghcr.io/spinway/spinway:", env!("CARGO_PKG_VERSION")))]
    image: String,
    /// When it runs, as cron writes it
    #[arg(long, value_name = "SCHEDULE", default_value = "*/5 * * * *")]
    schedule: String,
    /// Run all the time instead, asking the Git server every so many seconds
    #[arg(long, value_name = "SECONDS", conflicts_with = "schedule")]
    interval: Option<u64>,
    /// The Secret with the credentials for Git: username, password or token, ca.crt, identity, known_hosts
    #[arg(long, value_name = "NAME", default_value = "spinway-git")]
    git_secret: String,
    /// After each turn, push what is live to the branch NAME/ENVIRONMENT, with the credentials in the Secret spinway-snapshots
    #[arg(long, value_name = "NAME")]
    snapshot_branch: Option<String>,
    /// Seconds that one turn of the CronJob may take
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    deadline: u64,
    /// One Job for all members of this file (see `agent --fleet`), with their kubeconfig files in the Secret spinway-clusters
    #[arg(long, value_name = "FILE", conflicts_with_all = ["permissions", "identity", "against", "interval"])]
    fleet: Option<PathBuf>,
    /// Over how many pods the members are shared
    #[arg(long, value_name = "N", requires = "fleet", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    shards: u32,
    /// Further arguments of the agent, after `--`
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Prints the manifests.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let fleet = arguments.fleet.as_deref().map(read_fleet).transpose()?;
    if let Some((members, _)) = &fleet {
        arguments.check(members)?;
    }
    let desired = accepted(arguments.repository.read()?.1);
    if desired.config.is_none() {
        return Err(Failure::usage("there is no spinway.yaml: the agent needs one"));
    }
    let made = match &arguments.against {
        Some(revision) => {
            let before = accepted(arguments.repository.given().at(revision).read()?.1);
            difference(&before, &desired)
        }
        None if arguments.permissions => permissions(&desired),
        None if arguments.identity => identity(&desired),
        None => match fleet {
            Some((_, text)) => {
                let fleet = Some(FleetSetting { text, shards: arguments.shards });
                fleet_manifests(&desired, &Setting { fleet, ..arguments.setting() })
            }
            None => manifests(&desired, &arguments.setting()),
        },
    };
    let text: String = made.iter().map(|object| format!("---\n{}", yaml(object))).collect();
    Target { format: Format::Yaml, file: None }.write(&text)?;
    Ok(0)
}

/// The permissions that are needed now and were not, or that are others.
fn difference(before: &Desired, now: &Desired) -> Vec<Value> {
    let before = permissions(before);
    permissions(now).into_iter().filter(|object| !before.contains(object)).collect()
}

impl Arguments {
    /// What an agent of this fleet could not do.
    fn check(&self, fleet: &Fleet) -> Result<(), Failure> {
        if let Some(member) = fleet.members.iter().find(|member| member.kubeconfig.is_none()) {
            let text = format!(
                "member `{}` has no kubeconfig: the agent of a fleet may do nothing in its own cluster",
                member.name
            );
            return Err(Failure::usage(text));
        }
        match fleet.shared_environment().filter(|_| self.snapshot_branch.is_some()) {
            Some(environment) => Err(Failure::usage(format!(
                "two members are of environment `{environment}`, which has one snapshot branch"
            ))),
            None => Ok(()),
        }
    }

    fn setting(&self) -> Setting {
        let run = self.interval.map_or_else(|| Run::CronJob(self.schedule.clone()), Run::Deployment);
        let mut arguments: Vec<String> = self.url.iter().map(|url| format!("--repository={url}")).collect();
        arguments.extend(self.arguments.iter().cloned());
        Setting {
            run,
            image: self.image.clone(),
            git_secret: self.git_secret.clone(),
            snapshot_branch: self.snapshot_branch.clone(),
            fleet: None,
            arguments,
            deadline: self.deadline,
        }
    }
}
