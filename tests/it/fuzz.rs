//! The stored inputs of the fuzz targets, replayed through the same functions on the stable toolchain.
//!
//! `SPINWAY_FUZZ_SECONDS=60 cargo test --test it fuzz::` then mutates them for so long, where there is no `cargo fuzz`; with
//! `SPINWAY_FUZZ_ONLY=yaml` those of one target. The input at which it ends is `target/fuzz-TARGET`.

#[path = "../fuzz/targets.rs"]
pub(crate) mod targets;

use crate::oracle::texts::Random;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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

#[test]
fn the_input_of_a_right_tree_is_read() {
    let data = fs::read(corpus().join("git_tree/flat")).expect("an input");
    let tree = targets::tree_of(&data).expect("it is read");
    assert!(tree.entries.keys().any(|path| path == "a.yaml"), "{:?}", tree.entries.keys());
}

/// An input made of two others.
fn mutated(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    const TOKENS: [&str; 26] = [
        "\n",
        "\0",
        "---\n",
        ": ",
        "- ",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "<<: *a",
        "${",
        "null",
        "-1",
        "1e400",
        "9223372036854775807",
        "\u{202e}",
        "\u{1b}[",
        "::",
        "##[",
        "é",
        "!",
        "\\",
    ];
    let mut made = random.of(inputs).clone();
    for _ in 0..=random.below(6) {
        let at = random.below(made.len() + 1);
        let end = (at + random.below(24)).min(made.len());
        match random.below(6) {
            0 => drop(made.drain(at..end)),
            1 => made.extend_from_within(at..end),
            2 if at < made.len() => made[at] = u8::try_from(random.below(256)).unwrap_or_default(),
            3 => {
                let other = random.of(inputs);
                let from = random.below(other.len() + 1);
                let to = (from + random.below(80)).min(other.len());
                drop(made.splice(at..at, other[from..to].iter().copied()));
            }
            4 => {
                let copy = made[at..end].repeat(1 + random.below(20));
                drop(made.splice(at..at, copy));
            }
            _ => drop(made.splice(at..at, random.of(&TOKENS).bytes())),
        }
    }
    made
}

#[test]
fn mutated_inputs_have_no_findings() {
    let seconds = std::env::var("SPINWAY_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    let only = std::env::var("SPINWAY_FUZZ_ONLY").unwrap_or_default();
    let wanted = |name: &str| seconds > 0 && (only.is_empty() || only == name);
    for (target, run) in targets::TARGETS.into_iter().filter(|(name, _)| wanted(name)) {
        let folder = corpus().join(target);
        let inputs: Vec<_> = names(&folder).iter().map(|name| fs::read(folder.join(name)).expect("an input")).collect();
        let mut random = Random::new(u64::from(std::process::id()));
        let last = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(format!("fuzz-{target}"));
        let (begun, mut count, mut slowest) = (Instant::now(), 0_u64, Duration::ZERO);
        while begun.elapsed() < Duration::from_secs(seconds) {
            let input = mutated(&mut random, &inputs);
            fs::write(&last, &input).expect("the target folder can be written");
            let start = Instant::now();
            run(&input);
            let took = start.elapsed();
            assert!(took < Duration::from_secs(60), "{target} takes {took:?}: {}", last.display());
            (count, slowest) = (count + 1, slowest.max(took));
        }
        println!("{target}: {count} inputs in {seconds} s, the slowest in {slowest:?}");
    }
}
