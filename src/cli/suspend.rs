//! `spinway suspend`, `spinway resume`.

use super::common::now;
use super::failure::Failure;
use super::people::{Place, Which, end, tell};
use clap::Args;

/// Stop changing an app, a tenant or an environment, until a time; reports go on and say so
#[derive(Args)]
pub(super) struct Suspend {
    #[command(flatten)]
    which: Which,
    /// Until when: a span like 30m, 4h, 2d, or a time (RFC 3339)
    #[arg(long, value_name = "SPAN|TIME", default_value = "4h")]
    until: String,
    /// Why, for those who read reports
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

/// Go on after `suspend` or `rollback`
#[derive(Args)]
pub(super) struct Resume {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
}

/// Suspends.
pub(super) async fn suspend(arguments: Suspend) -> Result<u8, Failure> {
    let until = end(&arguments.until)?;
    let environment = arguments.place.find().await?;
    let stop = environment.stop(&arguments.which.part(), &until, &arguments.reason, None, now()).await?;
    tell(&stop);
    Ok(0)
}

/// Resumes.
pub(super) async fn resume(arguments: Resume) -> Result<u8, Failure> {
    for stop in arguments.place.find().await?.resume(&arguments.which.part()).await? {
        super::ui::progress(&format!("Ended: {}", crate::report::stop(&stop).terminal()));
    }
    Ok(0)
}
