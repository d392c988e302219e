//! The integration tests: the binary against a real API server. `control_plane` builds and starts it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs
)]

mod action;
mod against;
mod agent;
mod agents;
mod apply;
mod apps;
mod attacks;
mod blocked;
mod budgets;
mod builtin;
mod check;
mod cluster;
mod control_plane;
mod cost;
mod crash;
mod crds;
mod definitions;
mod differential;
mod drift;
mod escapes;
mod etcd;
mod exact;
mod facts;
mod faults;
mod features;
mod findings;
mod fleet;
mod fuzz;
mod gateway_rules;
mod generated;
mod git_server;
mod guards;
mod health;
mod http_server;
mod injections;
mod known_kinds;
mod layouts;
mod mermaid;
mod misspelt;
mod new;
mod one_writer;
mod oracle;
mod order;
mod others;
mod people;
mod pin;
mod policy;
mod processes;
mod proxy;
mod reading;
mod registry;
mod released;
mod repo;
mod run;
mod secrets;
mod session;
mod signing;
mod snapshots;
mod soak;
mod stand_in;
mod telling;
mod tenants;
mod third_check;
mod too_much;
mod tour;
mod traffic;
mod upgrade;
mod validation;
mod yaml;
