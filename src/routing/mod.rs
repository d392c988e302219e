//! How Gateway API routes requests: which listener takes a route, and which hostnames meet.
//!
//! **Invariant:** only the text of objects is read; what depends on something that is not known is *unknown*, not no.

mod attach;
mod hostname;

pub use attach::{Attachment, attach, listeners};
pub use hostname::{covers, meet};
