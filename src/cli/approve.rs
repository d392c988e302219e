//! `spinway approve`.

use super::common::now;
use super::failure::Failure;
use super::people::{Place, end};
use clap::Args;

/// Consent to one destruction that a plan holds, by its digest
///
/// It is good for these objects alone, and ends. The other ways to consent are `apply --approve DIGEST` and an Approval in
/// the repository.
#[derive(Args)]
pub(super) struct Arguments {
    /// The destruction digest, as a plan prints it
    #[arg(value_name = "DIGEST")]
    digest: String,
    /// Until when, at most seven days ahead: a span like 4h or 2d, or a time (RFC 3339)
    #[arg(long, value_name = "SPAN|TIME", default_value = "24h")]
    until: String,
    #[command(flatten)]
    place: Place,
}

/// Approves.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let until = end(&arguments.until)?;
    arguments.place.find().await?.approve(&arguments.digest, &until, now()).await?;
    super::ui::progress(&format!("Approved until {until}; the agent's next turn does it."));
    Ok(0)
}
