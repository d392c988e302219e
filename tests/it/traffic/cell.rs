//! One cell: a scenario with how pods end, how late the controller is and whether it is busy; run under load by one tool.

use super::bed::Bed;
use super::kubelet::Pods;
use super::load::Tally;
use super::scenarios::{SCENARIOS, Story};
use super::team::{Files, Team};
use super::traefik::Lane;
use crate::repo::Repo;
use crate::run::{Ran, code};
use serde_json::{Value, json};
use std::fmt;
use std::process::Output;
use std::time::{Duration, Instant};

/// Fewer requests say too little.
const REQUESTS: usize = 1500;
const LEAD: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_secs(1);
/// Longer than any controller lags.
const TAIL: Duration = Duration::from_secs(7);

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The scenario's place in the table.
    pub scenario: usize,
    /// Seconds that a pod serves after it was deleted.
    pub end: u64,
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
        write!(f, "{}, pods end after {} s, {churn}, throttle {} s", self.scenario(), self.end, self.lane.throttle)
    }
}

/// What came of a cell.
pub struct Outcome {
    pub tally: Tally,
    /// What is not as it should be beside the requests.
    pub wrong: Vec<String>,
}

/// Runs a cell; `name` is its namespace, which nobody else has.
pub fn run(bed: &Bed, cell: Cell, tool: Tool, name: &str) -> Outcome {
    let team = Team { name: name.to_owned(), lane: cell.lane };
    let story = (SCENARIOS[cell.scenario].story)(&team);
    bed.door(cell.lane);
    bed.pods(name, Pods { end: Duration::from_secs(cell.end), ..Pods::default() });
    let mut stage = Stage { bed, tool, repo: Repo::empty(), rendered: Vec::new() };
    if let Err(wrong) = stage.begin(&story, cell.lane) {
        return Outcome { tally: Tally::default(), wrong: vec![format!("before the change: {wrong}")] };
    }
    let load = bed.load(cell.lane, story.targets.clone());
    std::thread::sleep(LEAD);
    let mut wrong = Vec::new();
    for (number, turn) in story.turns.iter().enumerate() {
        let wanted = if number + 1 == story.turns.len() { story.code } else { 0 };
        if let Err(why) = stage.turn(turn, wanted) {
            wrong.push(format!("turn {} at {:.1} s: {why}", number + 1, load.elapsed().as_secs_f64()));
        }
        std::thread::sleep(BETWEEN);
    }
    let over = Instant::now();
    while over.elapsed() < TAIL || load.requests() < REQUESTS {
        std::thread::sleep(Duration::from_millis(100));
    }
    let tally = load.finish();
    wrong.extend(stage.end(&story, cell.lane));
    Outcome { tally, wrong }
}

/// A repository under way.
struct Stage<'a> {
    bed: &'a Bed,
    tool: Tool,
    repo: Repo,
    /// The objects that kubectl applied last.
    rendered: Vec<Value>,
}

impl Stage<'_> {
    /// The state before, served.
    fn begin(&mut self, story: &Story, lane: Lane) -> Result<(), String> {
        self.turn(&story.before, 0)?;
        self.bed.served(lane, &story.targets, Duration::from_secs(40))?;
        // The way of every configuration of this state to the proxy is over.
        std::thread::sleep(Duration::from_secs(lane.throttle));
        Ok(())
    }

    fn turn(&mut self, files: &Files, wanted: i32) -> Result<(), String> {
        for folder in ["apps", "platform"] {
            let _ = std::fs::remove_dir_all(self.repo.file(folder));
        }
        files.iter().for_each(|(path, text)| self.repo.write(path, text));
        self.repo.write("apps/.spinwayignore", "");
        match self.tool {
            Tool::Spinway => {
                let ran = self.bed.spinway(&["apply", self.repo.dir(), "--yes", "--timeout", "60"]);
                expect(&ran, wanted)
            }
            Tool::Kubectl => self.kubectl(),
        }
    }

    fn kubectl(&mut self) -> Result<(), String> {
        let ran = self.bed.spinway(&["render", self.repo.dir(), "--env", "test", "-o", "json"]);
        expect(&ran, 0)?;
        let after: Vec<Value> = serde_json::from_slice(&ran.stdout).map_err(|error| error.to_string())?;
        let id = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        let gone: Vec<&Value> =
            self.rendered.iter().filter(|old| !after.iter().any(|new| id(new) == id(old))).collect();
        let list = |items: &Value| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        self.repo.write("kubectl/after.json", &list(&json!(after)));
        let file = self.repo.file("kubectl/after.json").display().to_string();
        expect(&self.bed.kubectl(&["apply", "-f", &file]), 0)?;
        if !gone.is_empty() {
            self.repo.write("kubectl/gone.json", &list(&json!(gone)));
            let file = self.repo.file("kubectl/gone.json").display().to_string();
            expect(&self.bed.kubectl(&["delete", "--wait=false", "-f", &file]), 0)?;
        }
        self.rendered = after;
        Ok(())
    }

    /// What is wrong at the end.
    fn end(&self, story: &Story, lane: Lane) -> Vec<String> {
        let mut wrong = Vec::new();
        let patience = Duration::from_secs(10);
        let all: Vec<_> = story.targets.iter().chain(&story.finally).cloned().collect();
        wrong.extend(self.bed.served(lane, &all, patience).err().map(|why| format!("at the end: {why}")));
        if self.tool == Tool::Spinway && story.code == 0 {
            let ran = self.bed.spinway(&["plan", self.repo.dir(), "--exit-code"]);
            wrong.extend(expect(&ran, 0).err().map(|why| format!("something is left to do: {why}")));
        }
        wrong
    }
}

fn expect(ran: &Output, wanted: i32) -> Result<(), String> {
    if code(ran) == wanted { Ok(()) } else { Err(format!("exit code {wanted} was expected: {}", Ran(ran))) }
}
