//! `spinway render`.

use super::common::{Format, Repository, Target};
use super::failure::{FAILED, Failure};
use super::ui;
use crate::object::Severity;
use crate::report::{explained, mask_value, yaml};
use clap::Args;

/// Print the objects as they would be applied, after templates, patches and values; values of Secrets are masked
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// The format [yaml, json]
    #[arg(short, long, env = "SPINWAY_OUTPUT", value_name = "FORMAT[=FILE]", default_value = "yaml")]
    output: Vec<Target>,
    /// Say beside each field where it was written
    #[arg(long)]
    explain: bool,
}

/// Prints the objects.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let (repository, desired) = arguments.repository.read()?;
    ui::diagnostics(&desired.diagnostics, &repository.tree, false);
    // What a repository says of a SpinApp's variables is in Git, so it is no secret.
    let objects: Vec<_> = desired
        .objects
        .iter()
        .map(|(reference, member)| mask_value(reference, &member.object.value, &|_| true))
        .collect();
    for target in &arguments.output {
        let text = match target.format {
            Format::Json => format!("{:#}\n", serde_json::Value::Array(objects.clone())),
            Format::Yaml | Format::Text if arguments.explain => {
                let members = desired.objects.values().zip(&objects);
                members.map(|(member, value)| explained(&member.object, value)).collect()
            }
            Format::Yaml | Format::Text => objects.iter().map(|object| format!("---\n{}", yaml(object))).collect(),
            _ => return Err(Failure::usage("render has the formats yaml and json")),
        };
        target.write(&text)?;
    }
    let wrong = desired.diagnostics.iter().any(|d| d.severity == Severity::Error);
    Ok(if wrong { FAILED } else { 0 })
}
