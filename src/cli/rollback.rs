//! `spinway rollback`.

use super::common::now;
use super::failure::Failure;
use super::people::{Place, Which, end, tell};
use clap::Args;

/// Go back to what an earlier revision said of an app, a tenant or an environment, and hold it there
///
/// The agent's next turn applies it; reports show it until it is released by `spinway resume`, or its time is over. What
/// cannot be undone (definitions of kinds, data that was deleted) is not.
#[derive(Args)]
pub(super) struct Arguments {
    /// The revision, by the beginning of its id as `spinway history` shows it; default: the one before
    #[arg(value_name = "REVISION")]
    revision: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Until when, at most 24 hours ahead: a span like 30m or 4h, or a time (RFC 3339)
    #[arg(long, value_name = "SPAN|TIME", default_value = "24h")]
    until: String,
    /// Why, for those who read reports
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

/// Rolls back.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let until = end(&arguments.until)?;
    let environment = arguments.place.find().await?;
    let revision = Some(arguments.revision.as_deref());
    let stop = environment.stop(&arguments.which.part(), &until, &arguments.reason, revision, now()).await?;
    tell(&stop);
    Ok(0)
}
