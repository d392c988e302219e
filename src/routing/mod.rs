//! How Gateway API routes requests: which listener takes a route, which hostnames meet,
//! which requests a route claims, which features an object uses.
//!
//! **Invariant:** only the text of objects is read; what depends on something that is not known is *unknown*, not no.

mod attach;
mod claims;
mod features;
mod hostname;
mod lag;
mod probe;

pub use attach::{Attachment, attach, listeners};
pub use claims::{Attached, Claim, Claims, Target, attached, attached_beyond, beyond, claims, is_route, is_route_kind};
pub use features::features;
pub use hostname::{covers, meet};
pub use lag::lag_of_controllers;
pub use probe::{Door, MARK, Probe, carries, doors, mark_of, probe_of};
