//! Fields: which an object declares, who holds them, and how two objects differ in them.
//!
//! **Invariant:** everything is computed from texts and schemas as the API server computes it (structured-merge-diff);
//! where that cannot be known here the answer is [`Answer::Ask`], never a guess.

mod compare;
mod declared;
mod managed;
mod set;
mod unchanged;

pub use compare::{Answer, Difference, Keys, Known, change_root, compare, difference, schema_at};
pub use declared::{Declared, Leaf, declare, pointer_of, restrict, value_at};
pub use managed::{Holder, MANAGER, Managers, Operation};
pub use set::{Element, FieldPath, FieldSet};
pub use unchanged::{Wanted, is_unchanged};
