//! How Gateway API routes requests: which listener takes a route, which hostnames meet,
//! which features an object uses.
//!
//! **Invariant:** only the text of objects is read; what depends on something that is not known is *unknown*, not no.

mod attach;
mod features;
mod hostname;

pub use attach::{Attachment, attach, listeners};
pub use features::features;
pub use hostname::{covers, meet};
