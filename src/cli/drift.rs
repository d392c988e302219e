//! `spinway drift`.

use super::common::costing;
use super::failure::{DIFFERENT, FAILED, Failure, REFUSED};
use super::inspect::{Inspect, Seen};
use super::plan;
use crate::cluster::Reading;
use crate::inventory::PART_OF;
use crate::object::label;
use crate::plan::drift;
use crate::report::{Report, drift_only, from_drift};
use clap::Args;

/// Show what differs from what was last applied, field by field, and who changed it
///
/// Without DIR, and outside of a repository, the cluster's own inventory says what was applied; then there are no values
/// from before, and removed fields are only counted.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    inspect: Inspect,
}

/// Reports drift.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let output = &arguments.inspect.output;
    let (report, refused) = match arguments.inspect.look().await? {
        Seen::Inventory(seen) => (costing(owned(&seen.1), &seen.0), false),
        Seen::Repository(planned) => {
            let mut report = plan::report("drift", &planned, output);
            drift_only(&mut report);
            (report, planned.plan.refused.is_some())
        }
    };
    output.write(&report)?;
    Ok(match report.changes.is_empty() {
        _ if refused => REFUSED,
        _ if output.fails(&report) => FAILED,
        false if output.exit_code => DIFFERENT,
        _ => 0,
    })
}

/// The drift that live objects tell by themselves.
fn owned(reading: &Reading) -> Report {
    let partition = |id: &str| reading.parents.iter().find(|p| p.id == id).map(|p| p.partition.clone());
    let rows = reading.live.objects().filter_map(|(reference, value)| {
        let partition = partition(label(value, PART_OF)?)?;
        let (fields, removed) = drift(value);
        (!fields.is_empty() || removed > 0).then(|| (reference.clone(), partition, fields, removed))
    });
    from_drift("", rows.collect())
}
