//! The stored inputs of the fuzz targets, replayed through the same functions on the stable toolchain.

#[path = "../fuzz/targets.rs"]
pub(crate) mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The most that all inputs may hold together, in bytes.
const MOST_BYTES: u64 = 2 << 20;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn stored_inputs_have_no_findings() {
    let known: BTreeSet<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&corpus()), known, "each target has a corpus, and each corpus a target");
    let wrappers: BTreeSet<String> = known.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&corpus().join("../fuzz_targets")), wrappers);
    let mut bytes = 0;
    for (target, run) in targets::TARGETS {
        let folder = corpus().join(target);
        let inputs = names(&folder);
        assert!(!inputs.is_empty(), "tests/fuzz/corpus/{target} is empty");
        let begun = Instant::now();
        for input in &inputs {
            let data = fs::read(folder.join(input)).expect("an input");
            bytes += data.len() as u64;
            if std::panic::catch_unwind(|| run(&data)).is_err() {
                panic!("tests/fuzz/corpus/{target}/{input} is a finding");
            }
        }
        println!("{target}: {} inputs in {:.1} s", inputs.len(), begun.elapsed().as_secs_f64());
    }
    assert!(bytes < MOST_BYTES, "the corpora hold {bytes} bytes");
}
