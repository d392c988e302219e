//! The step that plans each environment of a pull request.

use super::runner::{MAX_SUMMARY, Runner, output, summarise, warn};
use crate::check::accepted;
use crate::cli::common::{FailOn, brings_errors, fails_on, now};
use crate::cli::failure::{FAILED, Failure, REFUSED};
use crate::cli::plan::report_of;
use crate::desired::{self, Desired};
use crate::install::permissions;
use crate::object::Untrusted;
use crate::ops::{self, Given, LiveSource, Place, Planned};
use crate::report::{Report, markdown_within};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Plan each environment, write the summary and the outputs
#[derive(Args)]
pub(super) struct Arguments {
    /// The directory of the repository
    #[arg(long, env = "SPINWAY_DIRECTORY", value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The environments, by comma or space; default: all of the Config
    #[arg(long, env = "SPINWAY_ENVIRONMENTS", value_name = "NAMES", default_value = "")]
    environments: String,
    /// The revision that the pull request is against: its rules judge, and without live state it is compared with
    #[arg(long, env = "SPINWAY_BASE", value_name = "REV")]
    base: Option<String>,
    /// A snapshot file, in which {environment} stands for the name
    #[arg(long, env = "SPINWAY_SNAPSHOT", value_name = "FILE", conflicts_with_all = ["snapshot_branch", "kubeconfig"])]
    snapshot: Option<String>,
    /// Agents keep their snapshots on the branches NAME/ENVIRONMENT
    #[arg(long, env = "SPINWAY_SNAPSHOT_BRANCH", value_name = "NAME", conflicts_with = "kubeconfig")]
    snapshot_branch: Option<String>,
    /// A kubeconfig: plan against the cluster itself
    #[arg(long, env = "SPINWAY_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Fail when there is any of these too [held, blocked, unhealthy, drift]; errors that the base does not have always fail
    #[arg(long, env = "SPINWAY_FAIL_ON", value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<FailOn>,
    /// Where the reports go
    #[arg(long, env = "SPINWAY_REPORTS", value_name = "DIR", default_value = "spinway-reports")]
    reports: PathBuf,
}

/// Plans.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let runner = Runner::read()?;
    if arguments.kubeconfig.is_some() && runner.is_privileged_for_others() {
        return Err(Failure::refused(
            format!("a kubeconfig is not used for the event `{}`, which runs for others' changes", runner.event_name),
            "Plan by snapshot or against the base; see docs/guides/action.md.",
        ));
    }
    std::fs::create_dir_all(&arguments.reports)
        .map_err(|error| Failure::failed(format!("{}: {error}", arguments.reports.display()), ""))?;
    let mut done: Vec<(String, Report)> = Vec::new();
    let mut refused = false;
    for name in arguments.names()? {
        let (planned, notices) = arguments.plan(&name).await?;
        refused |= planned.plan.refused.is_some();
        let report = Report { notices, ..report_of("plan", &planned, true) };
        arguments.keep(&name, &report)?;
        done.push((name, report));
    }
    arguments.tell(&runner, &done)?;
    let failed = done.iter().any(|(_, report)| brings_errors(report) || fails_on(&arguments.fail_on, report));
    Ok(if refused {
        REFUSED
    } else if failed {
        FAILED
    } else {
        0
    })
}

impl Arguments {
    fn given(&self, environment: Option<&str>) -> Given {
        let place = Place::Directory { directory: self.directory.clone(), revision: None };
        Given { place, environment: environment.map(str::to_owned) }
    }

    /// The environments that are asked for, else all that the base knows.
    fn names(&self) -> Result<Vec<String>, Failure> {
        let asked: Vec<String> =
            self.environments.split([',', ' ', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if !asked.is_empty() {
            return Ok(asked);
        }
        let (repository, _) = self.under_the_rules()?;
        let names = desired::environments(&repository.tree).map_err(ops::Error::from)?;
        if names.is_empty() { Err(Failure::usage("there is no spinway.yaml with environments")) } else { Ok(names) }
    }

    /// The repository as the pull request has it, under the rules of the base (law 11); and what is to be said of that.
    fn under_the_rules(&self) -> Result<(crate::source::Repository, Vec<Untrusted>), Failure> {
        Ok(self.given(None).read_under(self.base.as_deref())?)
    }

    async fn plan(&self, environment: &str) -> Result<(Planned, Vec<Untrusted>), Failure> {
        let (repository, mut said) = self.under_the_rules()?;
        let desired = desired::read(&repository.tree, Some(environment)).map_err(ops::Error::from)?;
        said.extend(self.new_permissions(environment, &desired));
        // Offline nothing is written, so where the inventory comes from does not matter. Against a cluster it does, and the
        // digest must be that of the apply that follows.
        let take_inventory = self.kubeconfig.is_none();
        // A pull request need not be up to date: what is applied is what it is merged to.
        let rewrites = true;
        let options = crate::plan::Options { take_inventory, rewrites, now: now(), ..crate::plan::Options::default() };
        let given = self.given(Some(environment));
        let live = self.live(environment)?;
        let mut planned = ops::plan_read(&given, (repository, desired), &live, &options).await?;
        if let (Some(base), LiveSource::Snapshot(_) | LiveSource::Cluster { .. }) = (&self.base, &live) {
            planned.known = ops::findings_of(&given, base, &planned)?;
        }
        Ok((planned, said))
    }

    /// What the agent may not do yet and would have to: an administrator's step.
    fn new_permissions(&self, environment: &str, desired: &Desired) -> Option<Untrusted> {
        let base = self.base.as_ref()?;
        let (_, before) = self.given(Some(environment)).at(base).read().ok()?;
        // For what the rules refuse nobody is asked for permissions.
        let old = allowed(&permissions(&accepted(before)));
        let new: BTreeSet<String> = allowed(&permissions(&accepted(desired.clone())))
            .difference(&old)
            .map(|(role, rule)| format!("{rule} in {role}"))
            .collect();
        let new: Vec<String> = new.into_iter().collect();
        let text = format!(
            "The agent needs permissions that it does not have: {}. An administrator applies them before the merge: \
             spinway install --env {environment} --permissions | kubectl apply -f -",
            new.join(", ")
        );
        (!new.is_empty()).then(|| Untrusted::new(text))
    }

    fn live(&self, environment: &str) -> Result<LiveSource, Failure> {
        if let Some(kubeconfig) = &self.kubeconfig {
            return Ok(LiveSource::Cluster { kubeconfig: Some(kubeconfig.clone()), context: None });
        }
        if let Some(pattern) = &self.snapshot {
            return Ok(LiveSource::Snapshot(PathBuf::from(pattern.replace("{environment}", environment))));
        }
        if let Some(branch) = &self.snapshot_branch {
            let file = self.reports.join(format!("{environment}.snapshot"));
            let branch = format!("{branch}/{environment}");
            let bytes = crate::source::file_of_branch(&self.directory, &branch, &format!("{environment}.json"));
            match bytes.map_err(ops::Error::from)? {
                Some(bytes) => {
                    write(&file, &bytes)?;
                    return Ok(LiveSource::Snapshot(file));
                }
                None => {
                    warn(&format!("The branch {branch} holds no snapshot of {environment}; comparing with the base."));
                }
            }
        }
        let missing = "give --base, or live state: --snapshot, --snapshot-branch or --kubeconfig";
        let base = self.base.clone().ok_or_else(|| Failure::usage(missing))?;
        Ok(LiveSource::Revision(base))
    }

    /// Keeps a report for the step that comments, and for later ones.
    fn keep(&self, name: &str, report: &Report) -> Result<(), Failure> {
        write(&self.reports.join(format!("{name}.json")), report.json().as_bytes())
    }

    /// Writes the summary and the outputs.
    fn tell(&self, runner: &Runner, done: &[(String, Report)]) -> Result<(), Failure> {
        let share = MAX_SUMMARY / done.len().max(1);
        for (_, report) in done {
            summarise(&format!("{}\n", markdown_within(report, share / 4)))?;
        }
        let one_or_all = |value: &dyn Fn(&Report) -> String| match done {
            [(_, report)] => value(report),
            _ => json!(done.iter().map(|(n, r)| (n.clone(), json!(value(r)))).collect::<serde_json::Map<_, _>>())
                .to_string(),
        };
        let changes =
            |report: &Report| report.changes.iter().filter(|row| row.action != crate::plan::Action::Unchanged).count();
        output("changes", &done.iter().map(|(_, report)| changes(report)).sum::<usize>().to_string())?;
        output("digest", &one_or_all(&|report| report.digest.clone()))?;
        output("destruction-digest", &one_or_all(&|report| report.destruction.digest.clone()))?;
        output("report", &self.reports.display().to_string())?;
        // For the step that comments, which may run elsewhere: the number is held against the server there.
        let number = runner.event.pointer("/pull_request/number").and_then(Value::as_u64);
        write(&self.reports.join("pull-request"), number.map(|n| n.to_string()).unwrap_or_default().as_bytes())
    }
}

/// What Roles allow, one by one: the Role, and verb and resource.
fn allowed(roles: &[Value]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for role in roles {
        let text = |pointer: &str| role.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        for rule in role["rules"].as_array().into_iter().flatten() {
            let list = |field: &str| rule[field].as_array().cloned().unwrap_or_default();
            let names = list("resourceNames").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
            for (verb, resource) in
                list("verbs").iter().flat_map(|v| list("resources").into_iter().map(move |r| (v.clone(), r)))
            {
                let text =
                    format!("{} {} {names}", verb.as_str().unwrap_or_default(), resource.as_str().unwrap_or_default());
                found.insert((name.clone(), text.trim().to_owned()));
            }
        }
    }
    found
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::failed(format!("{}: {error}", path.display()), ""))
}
