//! What the verbs for people share: which environment, which part of it, until when.

use super::common::{Connection, now};
use super::failure::Failure;
use crate::inventory::Stop;
use crate::ops::{Environment, Part, PeopleError};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

/// Which environment, by its inventory in the cluster.
#[derive(Args)]
pub(super) struct Place {
    #[command(flatten)]
    connection: Connection,
    /// The environment; needed when the namespace holds inventories of several
    #[arg(long, env = "SPINWAY_ENV", value_name = "NAME")]
    env: Option<String>,
    /// The namespace of the inventory
    #[arg(long, env = "SPINWAY_INVENTORY_NAMESPACE", value_name = "NAME", default_value = "spinway-system")]
    inventory_namespace: String,
}

impl Place {
    /// Finds it.
    pub(super) async fn find(&self) -> Result<Environment, Failure> {
        let cluster = self.connection.connect().await?;
        Ok(Environment::find(cluster, &self.inventory_namespace, self.env.as_deref()).await?)
    }
}

/// Which part of an environment.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// One app
    #[arg(long, value_name = "NAMESPACE/NAME")]
    app: Option<String>,
    /// One tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The whole environment
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The part.
    pub(super) fn part(&self) -> Part {
        match (&self.app, &self.tenant) {
            (Some(app), _) => Part::App(app.clone()),
            (None, Some(tenant)) => Part::Tenant(tenant.clone()),
            (None, None) => Part::All,
        }
    }
}

/// The time at the end of a span from now: `30m`, `4h`, `2d`, or a time (RFC 3339).
pub(super) fn end(text: &str) -> Result<String, Failure> {
    if text.parse::<Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    let wrong = || Failure::usage(format!("`{text}` is neither a span like 30m, 4h or 2d, nor a time (RFC 3339)"));
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: i64 = number.parse().ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(wrong)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    let start = Timestamp::from_second(now()).unwrap_or_default();
    start.checked_add(SignedDuration::from_secs(number * seconds)).map(|end| end.to_string()).map_err(|_| wrong())
}

/// Says what stops something now.
pub(super) fn tell(stop: &Stop) {
    super::ui::progress(&format!(
        "{} The agent's next turn, and every apply, does so.",
        crate::report::stop(stop).terminal()
    ));
}

impl From<PeopleError> for Failure {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Read(error) => error.into(),
            PeopleError::Asked(message) => Self::usage(message),
            PeopleError::Refused(message) => Self::failed(message, "Read it again; someone else may have written."),
        }
    }
}
