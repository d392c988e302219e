//! Reading alone: parsing, positioning, expanding and linking, without a cluster.

use spinway::ops::{Given, Place};
use std::path::PathBuf;
use std::time::Instant;

/// The role that reads a folder, `FOLDER OBJECTS`, and prints the seconds it took.
pub const ROLE: &str = "--read";

/// The other side: reads a folder as every verb does, and links its objects.
pub fn serve(arguments: &[String]) {
    let start = Instant::now();
    let place = Place::Directory { directory: PathBuf::from(&arguments[0]), revision: None };
    let (_, desired) = Given { place, environment: None }.read().expect("the repository can be read");
    let read = start.elapsed().as_secs_f64();
    let graph = spinway::graph::Graph::of(&desired);
    let linked = start.elapsed().as_secs_f64();
    assert_eq!(desired.objects.len().to_string(), arguments[1], "all objects are read");
    assert!(graph.nodes().count() >= desired.objects.len(), "all objects are linked");
    println!("{read:.4} {linked:.4}");
}
