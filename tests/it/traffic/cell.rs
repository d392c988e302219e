//! One cell: a scenario with how pods end, how late the controller is and whether it is busy; run under load by one tool.

use super::bed::Bed;
use super::kubelet::Pods;
use super::load::{Load, Tally};
use super::scenarios::{SCENARIOS, Story};
use super::site::{Site, expect};
use super::team::Files;
use super::traefik::Lane;
use std::fmt;
use std::time::{Duration, Instant};

/// Fewer requests say too little.
const REQUESTS: usize = 1500;
pub const LEAD: Duration = Duration::from_secs(2);
/// Beyond the controller's throttle, so that it looks again while the next turn is under way.
const BETWEEN: Duration = Duration::from_millis(500);
/// Longer than any controller lags.
const TAIL: Duration = Duration::from_secs(7);

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The scenario's place in the table.
    pub scenario: usize,
    /// Seconds that a pod serves after it was deleted.
    pub end: u64,
    /// Whether the API server holds writes up, as admission webhooks do.
    pub slow: bool,
    pub lane: Lane,
}

/// Who makes the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    Spinway,
    /// `kubectl apply` of the new state, then `kubectl delete` of what is gone.
    Kubectl,
}

impl Cell {
    pub fn scenario(&self) -> &'static str {
        SCENARIOS[self.scenario].name
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let churn = if self.lane.churn { "churn" } else { "quiet" };
        let api = if self.slow { "slow" } else { "quick" };
        let (scenario, end, throttle) = (self.scenario(), self.end, self.lane.throttle);
        write!(f, "{scenario}, pods end after {end} s, {api} writes, {churn}, throttle {throttle} s")
    }
}

/// What came of a cell.
#[derive(Default)]
pub struct Outcome {
    pub tally: Tally,
    /// What is not as it should be beside the requests.
    pub wrong: Vec<String>,
}

/// Runs a cell; `name` is its namespace, which nobody else has.
pub fn run(bed: &Bed, cell: Cell, tool: Tool, name: &str) -> Outcome {
    let pods = Pods { end: Duration::from_secs(cell.end), ..Pods::default() };
    let mut site = Site::new(bed, name, cell.lane, pods);
    let story = (SCENARIOS[cell.scenario].story)(&site.team);
    if let Err(wrong) = begin(&mut site, tool, &story) {
        return Outcome { tally: Tally::default(), wrong: vec![format!("before the change: {wrong}")] };
    }
    if cell.slow {
        site.kubeconfig = bed.slow_kubeconfig();
    }
    let load = site.load(&story.targets);
    std::thread::sleep(LEAD);
    let mut wrong = Vec::new();
    for (number, files) in story.turns.iter().enumerate() {
        site.write(files);
        if tool == Tool::Spinway {
            wrong.extend(announced(&site, cell).err());
        }
        let wanted = if number + 1 == story.turns.len() { story.code } else { 0 };
        if let Err(why) = turn(&mut site, tool, files, wanted) {
            wrong.push(format!("turn {} at {:.1} s: {why}", number + 1, load.elapsed().as_secs_f64()));
        }
        std::thread::sleep(BETWEEN + Duration::from_secs(cell.lane.throttle));
    }
    let tally = finish(load);
    wrong.extend(end(&site, tool, &story));
    Outcome { tally, wrong }
}

/// Waits for what may come late and for enough requests, and ends the load.
pub fn finish(load: Load) -> Tally {
    let over = Instant::now();
    while over.elapsed() < TAIL || load.requests() < REQUESTS {
        std::thread::sleep(Duration::from_millis(100));
    }
    load.finish()
}

/// The state before, served.
pub fn begin(site: &mut Site, tool: Tool, story: &Story) -> Result<(), String> {
    turn(site, tool, &story.before, 0)?;
    site.served(&story.targets, Duration::from_secs(40))?;
    // The way of every configuration of this state to the proxy is over.
    std::thread::sleep(Duration::from_secs(site.team.lane.throttle));
    Ok(())
}

/// What the plan says that the change breaks must be said where requests may fail, and nowhere else.
fn announced(site: &Site, cell: Cell) -> Result<(), String> {
    let ran = site.bed.spinway(&["plan", site.repo.dir(), "-o", "json"]);
    expect(&ran, 0)?;
    let report = crate::run::json(&ran);
    let changes = report["changes"].as_array().cloned().unwrap_or_default();
    let breaks: Vec<&str> = changes.iter().filter_map(|change| change["breaks"].as_str()).collect();
    match (breaks.is_empty(), SCENARIOS[cell.scenario].breaks) {
        (true, true) => Err("the plan does not say that requests may fail".to_owned()),
        (false, false) => Err(format!("the plan says that requests may fail: {breaks:?}")),
        _ => Ok(()),
    }
}

pub fn turn(site: &mut Site, tool: Tool, files: &Files, wanted: i32) -> Result<(), String> {
    site.write(files);
    match tool {
        Tool::Spinway => expect(&site.apply(), wanted),
        Tool::Kubectl => site.kubectl(),
    }
}

/// What is wrong at the end.
pub fn end(site: &Site, tool: Tool, story: &Story) -> Vec<String> {
    let mut wrong = Vec::new();
    let all: Vec<_> = story.targets.iter().chain(&story.finally).cloned().collect();
    let served = site.served(&all, Duration::from_secs(10));
    wrong.extend(served.err().map(|why| format!("at the end: {why}")));
    if tool == Tool::Spinway && story.code == 0 {
        let ran = site.bed.spinway(&["plan", site.repo.dir(), "--exit-code"]);
        wrong.extend(expect(&ran, 0).err().map(|why| format!("something is left to do: {why}")));
    }
    wrong
}
