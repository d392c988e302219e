//! What a tenant costs that is beyond a limit: `spinway plan` of the repositories in which one tenant has too much.

use crate::measure::{self, Cost};
use crate::repo::Repo;
use crate::too_much::INPUTS;
use std::path::Path;

/// The most memory that such a plan may take, in MiB.
pub const MEMORY: f64 = 512.0;
/// The most seconds that it may take, in a release build.
pub const SECONDS: f64 = 10.0;

/// A row of the table.
pub struct Row {
    /// What there is too much of.
    pub name: &'static str,
    /// What the plan cost.
    pub cost: Cost,
}

/// Plans each repository once, against one without objects.
pub fn run() -> Vec<Row> {
    let rows = INPUTS.iter().map(|input| {
        let repo = Repo::with_config();
        repo.commit("nothing yet");
        (input.write)(&repo);
        let arguments = ["plan", repo.dir(), "--against", "HEAD", "-o", "json"];
        let cost = measure::run(repo.path(), Path::new(env!("CARGO_BIN_EXE_spinway")), &arguments, &[]);
        assert!(matches!(cost.code, 0 | 1), "{} is planned: {}", input.name, cost.errors);
        eprintln!("  {}: {:.2} s, {:.0} MiB", input.name, cost.wall, cost.peak);
        Row { name: input.name, cost }
    });
    rows.collect()
}
