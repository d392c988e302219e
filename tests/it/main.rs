//! The integration tests: the binary against a real API server. `control_plane` builds and starts it.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod apply;
mod blocked;
mod builtin;
mod cluster;
mod control_plane;
mod crash;
mod etcd;
mod generated;
mod guards;
mod order;
mod repo;
mod run;
mod stand_in;
