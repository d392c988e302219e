//! All cells of a run, side by side where they do not share a Traefik, and what is kept of them.
//!
//! `SPINWAY_CAMPAIGN=full` runs the cover, each cell with kubectl beside it, and keeps what came of them in
//! `SPINWAY_TRAFFIC_STATE` (`target/traffic.jsonl`), so that it goes on where it was stopped. `SPINWAY_TRAFFIC_ONLY` runs the
//! cells of the cover whose description holds that text.

use super::bed::Bed;
use super::cell::{self, Cell, Outcome, Tool};
use super::scenarios::SCENARIOS;
use super::traefik::Lane;
use super::{cover, page};
use crate::control_plane::tests_dir;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

/// How many cells run at once, as long as each has a Traefik of its own: one for each processor, or as many as
/// `SPINWAY_TRAFFIC_BESIDE` says.
fn side_by_side() -> usize {
    let given = std::env::var("SPINWAY_TRAFFIC_BESIDE").ok().and_then(|count| count.parse().ok());
    given.unwrap_or_else(processors)
}

fn processors() -> usize {
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

/// One cell of any campaign: what it is called, and how it is run in a namespace that nobody else has.
pub struct Job<'a> {
    pub cell: String,
    pub scenario: String,
    pub tool: Tool,
    pub lane: Lane,
    pub run: Box<dyn Fn(&str) -> Outcome + Send + Sync + 'a>,
}

/// Whether the full campaign is asked for.
pub fn full() -> bool {
    std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|campaign| campaign == "full")
}

/// The text that the cells to be run hold.
pub fn only() -> Option<String> {
    std::env::var("SPINWAY_TRAFFIC_ONLY").ok()
}

/// Runs what is to be run; every cell of spinway must hold.
pub fn run(bed: &Bed) {
    let (full, only) = (full(), only());
    let mut cells: Vec<Cell> = if full || only.is_some() { cover::cover() } else { cover::sample() };
    cells.retain(|cell| only.as_ref().is_none_or(|only| cell.to_string().contains(only)));
    assert!(!cells.is_empty(), "no cell is {only:?}");
    let tools = if full { vec![Tool::Spinway, Tool::Kubectl] } else { vec![Tool::Spinway] };
    let job = |cell: Cell, tool: Tool| Job {
        cell: cell.to_string(),
        scenario: cell.scenario().to_owned(),
        tool,
        lane: cell.lane,
        run: Box::new(move |name| cell::run(bed, cell, tool, name)),
    };
    let kept = run_all(cells.iter().flat_map(|cell| tools.iter().map(|tool| job(*cell, *tool))).collect());
    if full && only.is_none() {
        page::check(&kept, &cells);
    }
    judge("traffic", &kept);
}

/// Runs the cells that have not been run, side by side, and returns what is kept of all of them.
pub fn run_all(jobs: Vec<Job>) -> Vec<Kept> {
    let state = State::open(full());
    let names: Vec<String> = jobs.iter().map(|job| job.cell.clone()).collect();
    let wanted = jobs.into_iter().enumerate().filter(|(_, job)| !state.has(job)).collect();
    let queue = Mutex::new((wanted, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..side_by_side() {
            scope.spawn(|| work(&queue, &state));
        }
    });
    let mut kept = state.kept();
    kept.retain(|kept| names.contains(&kept.cell));
    kept
}

/// Fails with all cells of spinway in which a request failed or something went wrong.
pub fn judge(campaign: &str, kept: &[Kept]) {
    let own: Vec<&Kept> = kept.iter().filter(|kept| kept.tool == Tool::Spinway).collect();
    let failed: Vec<&Kept> = own.iter().copied().filter(|kept| !kept.holds()).collect();
    let requests: u64 = own.iter().map(|kept| kept.requests).sum();
    let lost: u64 = own.iter().map(|kept| kept.failed).sum();
    println!(
        "{campaign}: {} of {} cells hold; {lost} of {requests} requests failed",
        own.len() - failed.len(),
        own.len()
    );
    let told: Vec<String> = failed
        .iter()
        .map(|kept| format!("{}: {}/{} failed\n{}", kept.cell, kept.failed, kept.requests, kept.wrong.join("\n")))
        .collect();
    assert!(failed.is_empty(), "requests failed, or a turn went wrong:\n{}", told.join("\n"));
}

type Queue<'a> = Mutex<(VecDeque<(usize, Job<'a>)>, Vec<Lane>)>;

/// Takes cells one after another, each of a lane that no other worker uses.
fn work(queue: &Queue, state: &State) {
    loop {
        let next = {
            let (wanted, busy) = &mut *queue.lock().expect("a lock");
            if wanted.is_empty() {
                return;
            }
            let at = wanted.iter().position(|(_, job)| !busy.contains(&job.lane));
            at.and_then(|at| wanted.remove(at)).inspect(|(_, job)| busy.push(job.lane))
        };
        let Some((number, job)) = next else {
            std::thread::sleep(std::time::Duration::from_millis(200));
            continue;
        };
        let began = std::time::Instant::now();
        let outcome = measure(&job, number);
        let wrong = outcome.wrong.iter().map(|why| format!("\n    {why}")).collect::<String>();
        let (cell, seconds) = (&job.cell, began.elapsed().as_secs());
        println!("{} in {seconds} s: {cell}: {}{wrong}", name(job.tool), outcome.tally);
        queue.lock().expect("a lock").1.retain(|lane| *lane != job.lane);
        state.add(Kept {
            cell: job.cell,
            scenario: job.scenario,
            tool: job.tool,
            requests: outcome.tally.requests as u64,
            failed: outcome.tally.failed as u64,
            wrong: outcome.wrong,
        });
    }
}

/// How often a cell is run when the machine was measured in its place.
const TRIES: usize = 3;

/// Runs a cell, and again when the machine stood still so long that nothing else was measured.
fn measure(job: &Job, number: usize) -> Outcome {
    let mut outcome = (job.run)(&format!("c{number}"));
    for again in 1..TRIES {
        if outcome.tally.is_of_the_machine() {
            println!(
                "again, since the machine stood still for {:?}: {}: {}",
                outcome.tally.late, job.cell, outcome.tally
            );
            outcome = (job.run)(&format!("c{number}-{again}"));
        }
    }
    outcome
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

    fn has(&self, job: &Job) -> bool {
        self.kept().iter().any(|kept| kept.cell == job.cell && kept.tool == job.tool)
    }

    fn add(&self, kept: Kept) {
        if let Some(file) = &self.file {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
            // In one piece: other campaigns may write to the same file.
            let line = kept.line(&self.binary) + "\n";
            opened.expect("the state can be written").write_all(line.as_bytes()).expect("a line");
        }
        self.kept.lock().expect("a lock").push(kept);
    }

    fn kept(&self) -> Vec<Kept> {
        self.kept.lock().expect("a lock").clone()
    }
}
