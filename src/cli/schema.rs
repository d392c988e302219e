//! `spinway schema`.

use super::common::{Format, Target};
use super::failure::Failure;
use crate::desired::{LOCAL_KINDS, json_schema};
use clap::Args;

/// Print the JSON schema of a kind that spinway reads, for editors
#[derive(Args)]
pub(super) struct Arguments {
    /// The kind
    #[arg(value_name = "KIND", value_parser = LOCAL_KINDS)]
    kind: String,
}

/// Prints the schema.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let schema = json_schema(&arguments.kind).unwrap_or_default();
    let target = Target { format: Format::Json, file: None };
    target.write(&format!("{schema:#}\n"))?;
    Ok(0)
}
