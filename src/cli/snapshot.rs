//! `spinway snapshot`.

use super::common::{Connection, Format, Repository, Target};
use super::failure::Failure;
use crate::cluster;
use crate::desired::DEFAULT_NAMESPACE;
use crate::ops;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

/// Save the live state that planning the repository needs, without any secret value
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    #[command(flatten)]
    connection: Connection,
    /// The file; standard output when it is not given
    #[arg(short, long, env = "SPINWAY_OUTPUT", value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Saves live state.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let Connection { kubeconfig, context } = arguments.connection.clone();
    let named = || cluster::context_namespace(kubeconfig.as_deref(), context.as_deref());
    let plain = || named().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let (_, desired) = arguments.repository.given().read_in(plain)?;
    let desired = Arc::new(desired);
    let cluster = arguments.connection.connect().await?;
    let live = ops::snapshot(&cluster, &desired).await?;
    let target = Target { format: Format::Json, file: arguments.output };
    target.write(&live.to_snapshot(&desired))?;
    Ok(0)
}
