//! Options that several verbs have.

use super::failure::Failure;
use crate::cluster::{Cluster, Traffic};
use crate::desired::Desired;
use crate::object::{Severity, unobeyed};
use crate::ops::{self, Given, LiveSource, Place};
use crate::plan::Selection;
use crate::report::{Bytes, FieldRow, Report};
use crate::source;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// Which repository, and which environment of it.
#[derive(Args, Clone)]
pub(super) struct Repository {
    /// The directory of the repository; the nearest spinway.yaml at or above it is used
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) directory: PathBuf,
    /// The environment; needed when there are several
    #[arg(long, env = "SPINWAY_ENV", value_name = "NAME")]
    pub(super) env: Option<String>,
    /// Read this Git revision instead of the files as they are
    #[arg(long = "ref", env = "SPINWAY_REF", value_name = "REV")]
    pub(super) reference: Option<String>,
}

impl Repository {
    /// Reads it, and what it wants.
    pub(super) fn read(&self) -> Result<(source::Repository, Desired), Failure> {
        Ok(self.given().read()?)
    }

    /// As it is given to the verbs.
    pub(super) fn given(&self) -> Given {
        let place = Place::Directory { directory: self.directory.clone(), revision: self.reference.clone() };
        Given { place, environment: self.env.clone() }
    }

    /// Whether the directory is not given and holds no Config: then the cluster's inventory is meant.
    pub(super) fn is_absent(&self) -> bool {
        let here = std::env::current_dir().unwrap_or_default();
        let found = here.ancestors().any(|folder| folder.join(crate::desired::CONFIG_FILE).is_file());
        self.directory.as_os_str() == "." && self.reference.is_none() && !found
    }
}

/// Which API server.
#[derive(Args, Clone)]
pub(super) struct Connection {
    /// The kubeconfig file; default: KUBECONFIG, ~/.kube/config, or the service account inside a cluster
    #[arg(long, env = "SPINWAY_KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The kubeconfig context
    #[arg(long, env = "SPINWAY_CONTEXT", value_name = "NAME")]
    pub(super) context: Option<String>,
}

impl Connection {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Cluster, Failure> {
        let cluster = Cluster::connect(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        Ok(cluster.map_err(ops::Error::from)?)
    }
}

/// Where live state comes from.
#[derive(Args, Clone)]
pub(super) struct LiveOptions {
    #[command(flatten)]
    pub(super) connection: Connection,
    /// Read live state from a snapshot file instead of a cluster
    #[arg(long, env = "SPINWAY_SNAPSHOT", value_name = "FILE", conflicts_with_all = ["against", "kubeconfig", "context"])]
    pub(super) snapshot: Option<PathBuf>,
    /// Compare with another revision of the repository instead of a cluster
    #[arg(long, env = "SPINWAY_AGAINST", value_name = "REV", conflicts_with_all = ["kubeconfig", "context"])]
    pub(super) against: Option<String>,
}

impl LiveOptions {
    /// The choice.
    pub(super) fn source(&self) -> LiveSource {
        match (&self.snapshot, &self.against) {
            (Some(path), _) => LiveSource::Snapshot(path.clone()),
            (None, Some(revision)) => LiveSource::Revision(revision.clone()),
            (None, None) => LiveSource::Cluster {
                kubeconfig: self.connection.kubeconfig.clone(),
                context: self.connection.context.clone(),
            },
        }
    }
}

/// What alters a plan.
#[derive(Args, Clone, Default)]
pub(super) struct Planning {
    /// Adopt live objects that no inventory owns
    #[arg(long, env = "SPINWAY_ADOPT")]
    pub(super) adopt: bool,
    /// Approve what is held, by its destruction digest; an unproved replace by its name too ('Kind NAMESPACE/NAME')
    #[arg(long, env = "SPINWAY_APPROVE", value_name = "DIGEST|OBJECT", value_delimiter = ',')]
    pub(super) approve: Vec<String>,
    /// Refuse everything when anything is wrong
    #[arg(long, env = "SPINWAY_STRICT")]
    pub(super) strict: bool,
    /// Take over the inventory when the repository has moved
    #[arg(long, env = "SPINWAY_TAKE_INVENTORY")]
    pub(super) take_inventory: bool,
    /// What is done when the revision that was applied last is not in the history of the one of --ref
    #[arg(long, env = "SPINWAY_REWRITES", value_name = "refuse|allow", default_value = "refuse", value_enum)]
    pub(super) rewrites: Rewrites,
    #[command(flatten)]
    pub(super) select: Select,
}

/// What is done about a revision that does not have the applied one in its history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Rewrites {
    #[default]
    Refuse,
    Allow,
}

/// A part of the repository; what it needs is included, and nothing else is deleted.
#[derive(Args, Clone, Default)]
pub(super) struct Select {
    /// Only this app, NAME or NAMESPACE/NAME, and the routes whose only backend it is
    #[arg(long, env = "SPINWAY_APP", value_name = "APP", value_delimiter = ',')]
    app: Vec<String>,
    /// Only this tenant
    #[arg(long, env = "SPINWAY_TENANT", value_name = "NAME", value_delimiter = ',')]
    tenant: Vec<String>,
    /// Only this namespace
    #[arg(short, long, env = "SPINWAY_NAMESPACE", value_name = "NAME", value_delimiter = ',')]
    namespace: Vec<String>,
    /// Only objects with this label
    #[arg(short = 'l', long, env = "SPINWAY_LABEL", value_name = "NAME=VALUE", value_delimiter = ',', value_parser = pair)]
    label: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "a label is NAME=VALUE".to_owned())
}

impl Planning {
    /// As options of the core.
    pub(super) fn options(&self) -> crate::plan::Options {
        crate::plan::Options {
            adopt: self.adopt,
            approve: self.approve.clone(),
            strict: self.strict,
            take_inventory: self.take_inventory,
            rewrites: self.rewrites == Rewrites::Allow,
            select: Selection {
                apps: self.select.app.clone(),
                tenants: self.select.tenant.clone(),
                namespaces: self.select.namespace.clone(),
                labels: self.select.label.clone(),
            },
            now: now(),
            ..crate::plan::Options::default()
        }
    }
}

/// A report with what it cost the API server.
pub(super) fn costing(report: Report, cluster: &Cluster) -> Report {
    let Traffic { requests, sent, received } = cluster.traffic();
    let requests = requests.into_iter().map(|(verb, count)| (verb.into(), count)).collect();
    Report { requests, bytes: Bytes { sent, received }, ..report }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// How to report, and what counts as a failure.
#[derive(Args, Clone)]
pub(super) struct Output {
    /// The format, and a file for it; may be given several times [text, json, jsonl, yaml, markdown]
    #[arg(short, long, env = "SPINWAY_OUTPUT", value_name = "FORMAT[=FILE]", value_delimiter = ',')]
    pub(super) output: Vec<Target>,
    /// Exit with 2 when there are differences
    #[arg(long, env = "SPINWAY_EXIT_CODE")]
    pub(super) exit_code: bool,
    /// Exit with 1 when there is any of these
    #[arg(long, env = "SPINWAY_FAIL_ON", value_name = "WHAT", value_delimiter = ',')]
    pub(super) fail_on: Vec<FailOn>,
    /// Show findings and progress less
    #[arg(short, long, env = "SPINWAY_QUIET")]
    pub(super) quiet: bool,
    /// Show what is unchanged too
    #[arg(short, long, env = "SPINWAY_VERBOSE")]
    pub(super) verbose: bool,
}

/// A format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Jsonl,
    Yaml,
    Markdown,
    Dot,
    Mermaid,
    Sarif,
    Junit,
    Github,
}

/// A format and where it goes; standard output without file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) format: Format,
    pub(super) file: Option<PathBuf>,
}

impl Target {
    /// Writes a text where it goes.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let text = self.format.unobeyed(text);
        super::ui::write(self.file.as_deref(), &text).map_err(|error| {
            let place =
                self.file.as_ref().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
            Failure::failed(format!("{place}: {error}"), "")
        })
    }
}

impl Format {
    /// A text of this format in which a runner finds no command, but for the format that is made of them.
    fn unobeyed(self, text: &str) -> String {
        match self {
            Self::Github => text.to_owned(),
            // `#` stands in texts alone there.
            Self::Json | Self::Jsonl | Self::Sarif => text.replace("##[", "\\u0023#["),
            Self::Junit | Self::Markdown => text.replace("##[", "&#35;#["),
            // `report::yaml` sees to it.
            Self::Yaml => text.to_owned(),
            Self::Text | Self::Dot | Self::Mermaid => unobeyed(text),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) =
            text.split_once('=').map_or((text, None), |(format, file)| (format, Some(PathBuf::from(file))));
        let known = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        let format = Format::from_str(format, true).map_err(|_| format!("there are {}", known.join(", ")))?;
        Ok(Self { format, file })
    }
}

/// What makes a verb fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Held,
    Blocked,
    Unhealthy,
    Drift,
    /// Errors that are found, but for those of the revision that the change is compared with.
    Findings,
}

impl Output {
    /// Whether events are streamed.
    pub(super) fn streams(&self) -> bool {
        self.output.iter().any(|t| t.format == Format::Jsonl)
    }

    /// The formats, text when none is asked for.
    pub(super) fn targets(&self) -> Vec<Target> {
        if self.output.is_empty() { vec![Target { format: Format::Text, file: None }] } else { self.output.clone() }
    }

    /// Writes a report in every format that is asked for.
    pub(super) fn write(&self, report: &Report) -> Result<(), Failure> {
        for target in self.targets() {
            let colour = target.file.is_none() && super::ui::colours_stdout();
            let text = match target.format {
                Format::Text => crate::report::text(report, colour, self.verbose),
                Format::Json => report.json() + "\n",
                Format::Jsonl => serde_json::to_string(report).unwrap_or_default() + "\n",
                Format::Yaml => report.yaml(),
                Format::Markdown => crate::report::markdown(report),
                Format::Dot | Format::Mermaid => {
                    return Err(Failure::usage("dot and mermaid are formats of `spinway graph`"));
                }
                Format::Sarif | Format::Junit | Format::Github => {
                    return Err(Failure::usage("sarif, junit and github are formats of `spinway check`"));
                }
            };
            target.write(&text)?;
        }
        Ok(())
    }

    /// Whether the health of objects is shown or decides the exit code.
    pub(super) fn wants_health(&self) -> bool {
        let data = |target: &Target| !matches!(target.format, Format::Text | Format::Markdown);
        self.targets().iter().any(data) || self.fail_on.contains(&FailOn::Unhealthy)
    }

    /// Whether the report holds what --fail-on names.
    pub(super) fn fails(&self, report: &Report) -> bool {
        fails_on(&self.fail_on, report)
    }
}

/// Whether a report has errors that the revision it is compared with does not have.
pub(super) fn brings_errors(report: &Report) -> bool {
    report.diagnostics.iter().any(|finding| finding.severity == Severity::Error && !finding.known)
}

/// Whether a report holds anything of a kind that counts as a failure.
pub(super) fn fails_on(fail_on: &[FailOn], report: &Report) -> bool {
    use crate::kinds::Verdict;
    use crate::plan::{Action, Cause};
    let drifted = |field: &FieldRow| matches!(field.cause, Cause::Drift | Cause::Missing);
    let sick = |verdict| matches!(verdict, Verdict::Failed | Verdict::Missing | Verdict::Progressing);
    fail_on.iter().any(|what| match what {
        FailOn::Held => report.changes.iter().any(|c| c.action == Action::Held),
        FailOn::Blocked => report.changes.iter().any(|c| c.action == Action::Blocked),
        FailOn::Unhealthy => report.health.iter().any(|row| sick(row.verdict)),
        FailOn::Findings => brings_errors(report),
        FailOn::Drift => report.changes.iter().any(|c| c.left.iter().chain(&c.fields).any(drifted)),
    })
}
