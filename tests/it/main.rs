//! The integration tests: the binary against a real API server. `control_plane` builds and starts it.

mod apply;
mod builtin;
mod cluster;
mod control_plane;
mod etcd;
mod repo;
mod run;
mod stand_in;
