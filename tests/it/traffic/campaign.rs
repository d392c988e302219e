//! All cells of a run, side by side where they do not share a Traefik, and what is kept of them.
//!
//! `SPINWAY_CAMPAIGN=full` runs the cover, each cell with kubectl beside it, and keeps what came of them in
//! `SPINWAY_TRAFFIC_STATE` (`target/traffic.jsonl`), so that it goes on where it was stopped. `SPINWAY_TRAFFIC_ONLY` runs the
//! cells of the cover whose description holds that text.

use super::bed::Bed;
use super::cell::{self, Cell, Tool};
use super::scenarios::SCENARIOS;
use super::{cover, page};
use crate::control_plane::tests_dir;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

/// How many cells run at once: one for each processor, as long as each has a Traefik of its own.
fn side_by_side() -> usize {
    std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4))
}

/// One line of what is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    pub cell: String,
    pub scenario: String,
    pub tool: Tool,
    pub requests: u64,
    pub failed: u64,
    pub wrong: Vec<String>,
}

impl Kept {
    fn holds(&self) -> bool {
        let breaks = SCENARIOS.iter().any(|scenario| scenario.name == self.scenario && scenario.breaks);
        (self.failed == 0 || breaks) && self.wrong.is_empty()
    }

    fn line(&self, binary: &str) -> String {
        json!({"binary": binary, "cell": self.cell, "scenario": self.scenario, "tool": name(self.tool),
               "requests": self.requests, "failed": self.failed, "wrong": self.wrong})
        .to_string()
    }

    fn read(line: &str, binary: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |field: &str| value[field].as_str().map(str::to_owned);
        let tool = if value["tool"] == "spinway" { Tool::Spinway } else { Tool::Kubectl };
        // kubectl does what it did; another build of spinway may do otherwise.
        if tool == Tool::Spinway && value["binary"] != binary {
            return None;
        }
        Some(Self {
            cell: text("cell")?,
            scenario: text("scenario")?,
            tool,
            requests: value["requests"].as_u64()?,
            failed: value["failed"].as_u64()?,
            wrong: value["wrong"].as_array()?.iter().filter_map(|w| w.as_str().map(str::to_owned)).collect(),
        })
    }
}

fn name(tool: Tool) -> &'static str {
    match tool {
        Tool::Spinway => "spinway",
        Tool::Kubectl => "kubectl",
    }
}

/// Runs what is to be run; every cell of spinway must hold.
pub fn run(bed: &Bed) {
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|campaign| campaign == "full");
    let only = std::env::var("SPINWAY_TRAFFIC_ONLY").ok();
    let mut cells: Vec<Cell> = if full || only.is_some() { cover::cover() } else { cover::sample() };
    cells.retain(|cell| only.as_ref().is_none_or(|only| cell.to_string().contains(only)));
    assert!(!cells.is_empty(), "no cell is {only:?}");
    let tools = if full { vec![Tool::Spinway, Tool::Kubectl] } else { vec![Tool::Spinway] };
    let state = State::open(full);
    let wanted: VecDeque<(usize, Cell, Tool)> = (0..)
        .zip(cells.iter().flat_map(|cell| tools.iter().map(|tool| (*cell, *tool))))
        .map(|(number, (cell, tool))| (number, cell, tool))
        .filter(|(_, cell, tool)| !state.has(*cell, *tool))
        .collect();
    let queue = Mutex::new((wanted, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..side_by_side() {
            scope.spawn(|| work(bed, &queue, &state));
        }
    });
    let mut kept = state.kept();
    kept.retain(|kept| cells.iter().any(|cell| cell.to_string() == kept.cell));
    let failed: Vec<&Kept> = kept.iter().filter(|kept| kept.tool == Tool::Spinway && !kept.holds()).collect();
    println!(
        "traffic: {} of {} cells without a failed request",
        kept.iter().filter(|k| k.tool == Tool::Spinway).count() - failed.len(),
        cells.len()
    );
    if full && only.is_none() {
        page::check(&kept, &cells);
    }
    let told: Vec<String> = failed
        .iter()
        .map(|kept| format!("{}: {}/{} failed\n{}", kept.cell, kept.failed, kept.requests, kept.wrong.join("\n")))
        .collect();
    assert!(failed.is_empty(), "requests failed, or a turn went wrong:\n{}", told.join("\n"));
}

type Queue = Mutex<(VecDeque<(usize, Cell, Tool)>, Vec<super::traefik::Lane>)>;

/// Takes cells one after another, each of a lane that no other worker uses.
fn work(bed: &Bed, queue: &Queue, state: &State) {
    loop {
        let next = {
            let (wanted, busy) = &mut *queue.lock().expect("a lock");
            if wanted.is_empty() {
                return;
            }
            let at = wanted.iter().position(|(_, cell, _)| !busy.contains(&cell.lane));
            at.and_then(|at| wanted.remove(at)).inspect(|(_, cell, _)| busy.push(cell.lane))
        };
        let Some((number, cell, tool)) = next else {
            std::thread::sleep(std::time::Duration::from_millis(200));
            continue;
        };
        let began = std::time::Instant::now();
        let outcome = cell::run(bed, cell, tool, &format!("c{number}"));
        let wrong = outcome.wrong.iter().map(|why| format!("\n    {why}")).collect::<String>();
        let seconds = began.elapsed().as_secs();
        println!("{} in {seconds} s: {cell}: {}{wrong}", name(tool), outcome.tally);
        state.add(Kept {
            cell: cell.to_string(),
            scenario: cell.scenario().to_owned(),
            tool,
            requests: outcome.tally.requests as u64,
            failed: outcome.tally.failed as u64,
            wrong: outcome.wrong,
        });
        queue.lock().expect("a lock").1.retain(|lane| *lane != cell.lane);
    }
}

/// What came of cells, in a file when the campaign is to go on where it was stopped.
struct State {
    file: Option<PathBuf>,
    binary: String,
    kept: Mutex<Vec<Kept>>,
}

impl State {
    fn open(full: bool) -> Self {
        let program = std::fs::read(env!("CARGO_BIN_EXE_spinway")).expect("the program");
        let binary: String = Sha256::digest(program).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let given = std::env::var_os("SPINWAY_TRAFFIC_STATE").map(PathBuf::from);
        let file = full.then(|| given.unwrap_or_else(|| tests_dir().join("../target/traffic.jsonl")));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let kept = text.lines().filter_map(|line| Kept::read(line, &binary)).collect();
        Self { file, binary, kept: Mutex::new(kept) }
    }

    fn has(&self, cell: Cell, tool: Tool) -> bool {
        self.kept().iter().any(|kept| kept.cell == cell.to_string() && kept.tool == tool)
    }

    fn add(&self, kept: Kept) {
        if let Some(file) = &self.file {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
            writeln!(opened.expect("the state can be written"), "{}", kept.line(&self.binary)).expect("a line");
        }
        self.kept.lock().expect("a lock").push(kept);
    }

    fn kept(&self) -> Vec<Kept> {
        self.kept.lock().expect("a lock").clone()
    }
}
