//! `cargo bench --bench reconcile -- --objects 10000 --json FILE`: what a reconcile costs against a real API server, beside
//! the floor: the same requests by the same HTTP client and nothing else, in the same run.
//!
//! `-- --check-only` measures `spinway check` alone, which needs no API server.
//!
//! The machines that run it are shared and noisy: what counts are ratios. So a floor and what is held against it run in
//! turns, and the run with the median wall time stands for all.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs
)]

mod bare;
mod checking;
#[allow(dead_code)]
#[path = "../it/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "../it/control_plane.rs"]
mod control_plane;
#[path = "../it/etcd.rs"]
mod etcd;
#[allow(dead_code)]
#[path = "../it/git_server.rs"]
mod git_server;
mod growth;
mod limits;
mod measure;
mod reading;
#[allow(dead_code)]
#[path = "../it/repo.rs"]
mod repo;
mod scenario;
mod table;
#[allow(dead_code)]
#[path = "../it/too_much.rs"]
mod too_much;
mod workload;

use std::path::PathBuf;

/// What the command line asks for.
pub struct Arguments {
    /// How many objects, for each size.
    pub sizes: Vec<usize>,
    /// Where the figures go as JSON.
    pub json: Option<PathBuf>,
    /// What the generated values are drawn from.
    pub seed: u64,
    /// How many times each short scenario runs.
    pub runs: usize,
    /// Whether kubectl runs beside spinway.
    pub kubectl: bool,
    /// Whether the cluster is left running with everything applied, for a profiler, until it is killed.
    pub hold: bool,
    /// Whether `docs/reference/benchmarks.md` is written.
    pub write: bool,
    /// Whether only `spinway check` is measured, which needs no API server.
    pub check_only: bool,
}

const USAGE: &str = "cargo bench --bench reconcile -- [--objects N[,N...]] [--json FILE] [--seed N] [--runs N] [--no-kubectl] [--no-docs] [--hold] [--check-only]";

fn arguments(given: &[String]) -> Arguments {
    let mut made = Arguments {
        sizes: vec![3023],
        json: None,
        seed: 1,
        runs: 5,
        kubectl: true,
        hold: false,
        write: true,
        check_only: false,
    };
    let mut given = given.iter();
    while let Some(argument) = given.next() {
        let mut value = || given.next().unwrap_or_else(|| panic!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--objects" => made.sizes = value().split(',').map(|n| n.parse().expect("a number of objects")).collect(),
            "--json" => made.json = Some(PathBuf::from(value())),
            "--seed" => made.seed = value().parse().expect("a number"),
            "--runs" => made.runs = value().parse().expect("a number"),
            "--no-kubectl" => made.kubectl = false,
            "--hold" => made.hold = true,
            "--no-docs" => made.write = false,
            "--check-only" => {
                made.check_only = true;
                made.sizes.clear();
            }
            // Cargo adds it to every benchmark.
            "--bench" => {}
            other => panic!("unknown argument {other}\n{USAGE}"),
        }
    }
    made
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.first().map(String::as_str) {
        Some(measure::ROLE) => measure::serve(&given[1..]),
        Some(bare::LIST) => bare::list(&given[1..]),
        Some(bare::PATCH) => bare::patch(&given[1..]),
        Some(reading::ROLE) => reading::serve(&given[1..]),
        _ => run(&arguments(&given)),
    }
}

fn run(arguments: &Arguments) {
    let checks = checking::run(arguments.runs);
    println!("{}", table::check_text(&checks));
    if arguments.write {
        table::write_check_docs(&checks, arguments);
    }
    let growth = growth::run(arguments.runs);
    println!("{}", table::growth_text(&growth));
    if arguments.write {
        table::write_growth_docs(&growth, arguments);
    }
    let limits = limits::run();
    println!("{}", table::limits_text(&limits));
    if arguments.write {
        table::write_limits_docs(&limits);
    }
    if arguments.check_only {
        return;
    }
    let mut sizes = Vec::new();
    for objects in &arguments.sizes {
        let size = scenario::run(*objects, arguments);
        println!("{}", table::text(&size));
        sizes.push(size);
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, format!("{:#}\n", table::json(&sizes, arguments))).expect("the file can be written");
    }
    if arguments.write {
        table::write_docs(&sizes, arguments);
    }
}
