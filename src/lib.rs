//! spinway reconciles a Git repository of Spin apps and Gateway API objects onto a Kubernetes cluster.
//!
//! Start reading at [`desired::read`] (what the repository wants), then [`plan`] (what has to be done), then [`apply`]
//! (doing it). `docs/architecture.md` is the map.

#[cfg(feature = "world")]
pub mod agent;
#[cfg(feature = "world")]
pub mod cli;
#[cfg(feature = "world")]
pub mod cluster;
#[cfg(feature = "world")]
pub mod notify;
#[cfg(feature = "world")]
pub mod ops;
#[cfg(feature = "world")]
pub mod registry;
#[cfg(feature = "world")]
pub mod source;

pub mod api;
pub mod apply;
pub mod check;
pub mod desired;
pub mod fields;
pub mod graph;
pub mod install;
pub mod inventory;
pub mod kinds;
pub mod live;
pub mod object;
pub mod plan;
pub mod report;
pub mod routing;
pub mod scaffold;
pub mod schema;

/// How many cases a seeded test runs: the full campaign when `SPINWAY_CAMPAIGN=full`, else the sample of CI.
#[cfg(test)]
fn campaign(sample: u32, full: u32) -> u32 {
    if std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full") { full } else { sample }
}
