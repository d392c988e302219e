//! `spinway snapshot`.

use super::common::{Connection, Format, Repository, Target};
use super::failure::Failure;
use crate::graph::Graph;
use crate::kinds;
use crate::ops;
use clap::Args;
use std::collections::BTreeSet;
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
    let (_, desired) = arguments.repository.read()?;
    let desired = Arc::new(desired);
    let cluster = arguments.connection.connect().await?;
    let types = cluster.types().await.map_err(ops::Error::from)?;
    let namespace = desired.config.as_ref().map(|config| config.inventory.namespace.as_str());
    let maps = cluster.inventories(namespace, &types.kinds).await;
    let mut reading = cluster.observe(&desired, types, maps, true).await.map_err(ops::Error::from)?;
    cluster.look_up_references(&desired, &Graph::of(&desired), &mut reading).await;
    for parent in &reading.parents {
        // The inventory is part of what planning needs.
        let _ = cluster.refresh(&mut reading.live, &parent.reference(), "v1").await;
    }
    let apps = desired.objects.values().flat_map(|m| kinds::each(&m.object.value, "spec.variables[].value"));
    let public: BTreeSet<String> = apps.filter_map(|(_, v)| v.as_str().map(str::to_owned)).collect();
    let snapshot = reading.live.to_snapshot(&|text| public.contains(text));
    let target = Target { format: Format::Json, file: arguments.output };
    target.write(&format!("{}\n", serde_json::to_string(&snapshot).unwrap_or_default()))?;
    Ok(0)
}
