//! Reading alone: parsing, positioning, expanding and linking, without a cluster.

use std::path::Path;
use std::time::Instant;

/// The role that reads a folder and prints the seconds it took.
pub const ROLE: &str = "--read";

/// The other side: reads a folder as every verb does, and links its objects.
pub fn serve(arguments: &[String]) {
    let start = Instant::now();
    let (_, desired) =
        spinway::ops::read_desired(Path::new(&arguments[0]), None, None).expect("the repository can be read");
    let read = start.elapsed().as_secs_f64();
    let graph = spinway::graph::Graph::of(&desired);
    let linked = start.elapsed().as_secs_f64();
    assert!(desired.objects.len() > 1 && graph.nodes().count() > 1);
    println!("{read:.4} {linked:.4}");
}
