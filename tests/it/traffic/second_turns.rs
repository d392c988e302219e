//! Turns after one that did not succeed: the healthy version goes on serving, exit codes and history tell the truth, and when
//! the cause goes away the next turn completes.
//!
//! `SPINWAY_CAMPAIGN=full` runs all cells and keeps what came of them in `SPINWAY_TURNS_STATE` (`target/second-turns.jsonl`), so
//! that it goes on where it was stopped. `SPINWAY_TURNS_ONLY` runs the cells whose description holds that text.

use super::bed::Bed;
use super::causes::{CAUSES, Cause, Contents, SHAPES, Shape, Story};
use super::kubelet::Pods;
use super::load::Tally;
use super::namespace::within;
use super::site::{Site, expect};
use super::traefik::Lane;
use crate::control_plane::tests_dir;
use crate::git_server::GitServer;
use crate::run::code;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Seconds that an object may take while the cause lasts, and afterwards.
const SHORT: u64 = 8;
const LONG: u64 = 60;
/// Seconds that the Lease of a turn lasts that may be killed.
const LEASE: u64 = 8;
/// A turn that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(240);
/// Fewer requests say too little.
const REQUESTS: usize = 1500;
/// The lanes that cells share: another cell is as another team is.
const LANES: [Lane; 2] = [Lane { throttle: 2, churn: false }, Lane { throttle: 2, churn: true }];
/// How many cells run at once: they wait most of their time.
const SIDE_BY_SIDE: usize = 4;

/// Who applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Apply,
    Agent,
}

/// What follows the first turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Rerun,
    /// A commit with something else.
    CommitBeside,
    /// A commit that changes the version that does not serve.
    CommitOnTop,
    ThreeTurns,
    /// The first turn is killed.
    Kill,
    OnFailure,
}

const THEN: [Then; 6] =
    [Then::Rerun, Then::CommitBeside, Then::CommitOnTop, Then::ThreeTurns, Then::Kill, Then::OnFailure];

#[derive(Clone, Copy, Debug)]
struct Cell {
    number: usize,
    cause: Cause,
    writer: Writer,
    then: Then,
    shape: Shape,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?} {:?}", self.cause, self.writer, self.then, self.shape)
    }
}

/// All cells. Shapes take turns, so that each cause and each sequel meets each of them; only Apps have `onFailure`.
fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (row, cause) in CAUSES.into_iter().enumerate() {
        for (place, writer) in [Writer::Apply, Writer::Agent].into_iter().enumerate() {
            for (column, then) in THEN.into_iter().enumerate() {
                let turning = SHAPES[(row + 2 * place + column) % SHAPES.len()];
                let shape = if then == Then::OnFailure { Shape::App } else { turning };
                cells.push(Cell { number: cells.len(), cause, writer, then, shape });
            }
        }
    }
    cells
}

/// The sample of CI.
const SAMPLE: [(Cause, Writer, Then); 4] = [
    (Cause::BadImage, Writer::Agent, Then::Rerun),
    (Cause::CrashLoop, Writer::Apply, Then::Kill),
    (Cause::MissingSecret, Writer::Agent, Then::CommitOnTop),
    (Cause::Slow, Writer::Apply, Then::Rerun),
];

/// What came of a cell.
struct Outcome {
    tally: Tally,
    wrong: Vec<String>,
    /// How many turns it took when the cause was gone.
    turns: usize,
}

#[test]
fn turns_after_one_that_failed_never_make_it_worse() {
    within("traffic::second_turns::turns_after_one_that_failed_never_make_it_worse", || campaign(&Bed::start()));
}

fn campaign(bed: &Bed) {
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|campaign| campaign == "full");
    let only = std::env::var("SPINWAY_TURNS_ONLY").ok();
    let mut cells = all();
    if let Some(only) = &only {
        cells.retain(|cell| cell.to_string().contains(only));
    } else if !full {
        cells.retain(|cell| SAMPLE.contains(&(cell.cause, cell.writer, cell.then)));
    }
    assert!(!cells.is_empty(), "no cell is {only:?}");
    for lane in LANES {
        bed.door(lane);
    }
    let state = State::open(full);
    let wanted: VecDeque<Cell> = cells.iter().filter(|cell| state.of(cell).is_none()).copied().collect();
    let queue = Mutex::new(wanted);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("a lock").pop_front();
                    let Some(cell) = next else { return };
                    let began = Instant::now();
                    let outcome = run(bed, cell);
                    state.add(&cell, &outcome, began.elapsed());
                }
            });
        }
    });
    let kept: Vec<Value> = cells.iter().filter_map(|cell| state.of(cell)).collect();
    let sum = |field: &str| kept.iter().filter_map(|line| line[field].as_u64()).sum::<u64>();
    let holds = |line: &&Value| line["failed"] == 0 && line["wrong"].as_array().is_some_and(Vec::is_empty);
    let good = kept.iter().filter(holds).count();
    println!(
        "second turns: {good} of {} cells hold; {} of {} requests failed",
        cells.len(),
        sum("failed"),
        sum("requests")
    );
    let bad: Vec<String> = kept.iter().filter(|line| !holds(line)).map(|line| format!("{line:#}")).collect();
    assert!(bad.is_empty() && kept.len() == cells.len(), "{}", bad.join("\n"));
}

/// A cell under way.
struct Run<'a> {
    bed: &'a Bed,
    site: Site<'a>,
    server: GitServer,
    cell: Cell,
    story: Story<'a>,
    wrong: Vec<String>,
}

/// Runs a cell.
fn run(bed: &Bed, cell: Cell) -> Outcome {
    let name = format!("t{}", cell.number);
    let lane = LANES[cell.number / 2 % LANES.len()];
    let site = Site::new(bed, &name, lane, Pods::default());
    let team = site.team.clone();
    // Longer than one turn has, or than two when there are three.
    let slow = if cell.then == Then::ThreeTurns { 3 * SHORT } else { SHORT + 6 };
    let story = Story { team: &team, cause: cell.cause, shape: cell.shape, slow };
    site.write(&story.files(Contents { on_failure: cell.then == Then::OnFailure, ..Contents::default() }));
    site.repo.commit("healthy");
    let server = GitServer::https(&site.repo);
    let mut run = Run { bed, site, server, cell, story, wrong: Vec::new() };
    if let Err(wrong) = run.begin() {
        return Outcome { tally: Tally::default(), wrong: vec![format!("before the change: {wrong}")], turns: 0 };
    }
    let load = run.site.load(&run.story.targets());
    std::thread::sleep(Duration::from_secs(1));
    let last = run.while_sick();
    if let Err(why) = run.story.heal(bed) {
        run.wrong.push(why);
    }
    let turns = run.completes(last);
    let over = Instant::now();
    while over.elapsed() < Duration::from_secs(4) || load.requests() < REQUESTS {
        std::thread::sleep(Duration::from_millis(100));
    }
    Outcome { tally: load.finish(), wrong: run.wrong, turns }
}

impl Run<'_> {
    /// The healthy version, served.
    fn begin(&self) -> Result<(), String> {
        expect(&self.turn(LONG)?, 0)?;
        self.site.served(&self.story.targets(), Duration::from_secs(40))?;
        self.story.prepare(self.bed)
    }

    /// The turns while the cause lasts; what the repository holds after them.
    fn while_sick(&mut self) -> Contents {
        let then = self.cell.then;
        let mut contents = Contents { new: true, on_failure: then == Then::OnFailure, ..Contents::default() };
        self.commit("new version", contents);
        if then == Then::Kill {
            self.kill();
        } else if then == Then::OnFailure {
            self.comes_back(&mut contents);
            return contents;
        } else {
            self.sick_turn("first turn");
        }
        match then {
            Then::CommitBeside => contents.beside = true,
            Then::CommitOnTop => contents.note = true,
            _ => {}
        }
        if contents.beside || contents.note {
            self.commit("on top", contents);
        }
        self.sick_turn("second turn");
        if then == Then::ThreeTurns {
            self.sick_turn("third turn");
        }
        contents
    }

    /// A turn in which the new version cannot become healthy: it says so.
    fn sick_turn(&mut self, which: &str) {
        let ran = match self.turn(SHORT) {
            Ok(ran) => ran,
            Err(why) => return self.wrong.push(format!("{which}: {why}")),
        };
        let (code, last) = (code(&ran), self.last());
        // Of the commit before it may say so: that one was done.
        let recorded_done = last["result"] == "done" && last["revision"] == self.site.repo.git(&["rev-parse", "HEAD"]);
        let says_done = code == 0 || recorded_done;
        let wanted = self.story.finally(Contents::default());
        // What is slow may have become healthy by now.
        let may = !self.story.lasts();
        if says_done && (!may || self.site.served(&wanted, Duration::from_secs(5)).is_err()) {
            self.wrong
                .push(format!("{which} says that it is done: exit code {code}, history {last}: {}", Self::told(&ran)));
        } else if code > 1 || code == 0 && !recorded_done {
            self.wrong.push(format!("{which}: exit code {code}, history {last}: {}", Self::told(&ran)));
        }
    }

    /// The first turn with `onFailure` fails, and the healthy version is held; the next one leaves it so.
    fn comes_back(&mut self, contents: &mut Contents) {
        let before = self.history().len();
        let (first, second) = (self.turn(SHORT), self.turn(SHORT));
        let (Ok(first), Ok(second)) = (first, second) else {
            return self.wrong.push("a turn hangs".to_owned());
        };
        let told = format!("{}\n{}", Self::told(&first), Self::told(&second));
        let history = self.history();
        let results: Vec<&str> = history[before..].iter().filter_map(|entry| entry["result"].as_str()).collect();
        if self.cell.writer == Writer::Apply && code(&first) != 1 {
            self.wrong.push(format!("the first turn is to fail: {told}"));
        }
        let held = self.stops() > 0;
        let says_so = results.iter().any(|result| ["failed", "unfinished"].contains(result));
        if !says_so || !held && self.story.lasts() || code(&second) != 0 {
            self.wrong.push(format!("held: {held}, history {results:?}: {told}"));
        }
        // Another text of the App is tried.
        contents.note = true;
        self.commit("mended", *contents);
    }

    /// The first turn is killed, each cell at another moment.
    fn kill(&mut self) {
        let mut command = self.command(SHORT);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("spinway runs");
        let moment = [600, 1200, 2000, 3000, 4500, 7000][self.cell.number / 6 % 6];
        std::thread::sleep(Duration::from_millis(moment));
        let _ = child.kill();
        let _ = child.wait();
        // The agent does not wait for the Lease that it leaves.
        std::thread::sleep(Duration::from_secs(LEASE + 1));
    }

    /// The turns when the cause is gone: the next one completes. The agent may leave what is not healthy yet to one more, and
    /// says so.
    fn completes(&mut self, contents: Contents) -> usize {
        let most = if self.cell.writer == Writer::Agent { 2 } else { 1 };
        let mut turns = 0;
        loop {
            turns += 1;
            let ran = match self.turn(LONG) {
                Ok(ran) => ran,
                Err(why) => {
                    self.wrong.push(format!("when the cause is gone: {why}"));
                    return turns;
                }
            };
            let last = self.last();
            if code(&ran) == 0 && last["result"] == "done" {
                break;
            }
            if turns == most {
                self.wrong
                    .push(format!("it does not complete when the cause is gone: history {last}: {}", Self::told(&ran)));
                return turns;
            }
        }
        let entries = self.history().len();
        let served = self.site.served(&self.story.finally(contents), Duration::from_secs(10));
        let again = self.turn(SHORT).and_then(|ran| self.is_idle(&ran));
        let checks = [served, again];
        self.wrong.extend(checks.into_iter().filter_map(Result::err).map(|why| format!("at the end: {why}")));
        if self.history().len() != entries {
            self.wrong.push(format!("a turn with nothing to do is recorded: {}", self.last()));
        }
        turns
    }

    /// What a turn said and did, without what it left alone.
    fn told(ran: &Output) -> String {
        let report: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        let mut told = format!("exit code {}\n", code(ran));
        for change in report["changes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|c| c["action"] != "unchanged" || c["result"] != Value::Null)
        {
            let (object, action, result) = (&change["object"], &change["action"], &change["result"]);
            told.push_str(&format!("{} {}: {action} {result} {}\n", object["kind"], object["name"], change["because"]));
        }
        told + &String::from_utf8_lossy(&ran.stderr)
    }

    /// A turn that finds everything as it is to be.
    fn is_idle(&self, ran: &Output) -> Result<(), String> {
        expect(ran, 0)?;
        let report: Value = serde_json::from_slice(&ran.stdout).map_err(|error| format!("no report: {error}"))?;
        let changes = report["changes"].as_array().cloned().unwrap_or_default();
        let left: Vec<&Value> = changes.iter().filter(|change| change["action"] != "unchanged").collect();
        if left.is_empty() { Ok(()) } else { Err(format!("something is left to do: {left:?}")) }
    }

    fn commit(&self, message: &str, contents: Contents) {
        self.site.write(&self.story.files(contents));
        self.site.repo.commit(message);
    }

    /// A turn in which an object may take so many seconds.
    fn command(&self, seconds: u64) -> Command {
        let seconds = seconds.to_string();
        let namespace = format!("{}-inventory", self.site.team.name);
        let mut command = if self.cell.writer == Writer::Apply {
            // Only a revision can be gone back to.
            let mut command =
                self.bed.command(&["apply", self.site.repo.dir(), "--yes", "--ref", "HEAD", "-o", "json"]);
            command.args(["--timeout", &seconds]);
            command
        } else {
            let options = self.server.options();
            let mut command = self.bed.command(&["agent", "--once", "--fail-on", "unhealthy", "-o", "json"]);
            command.args(options).args(["--timeout", &seconds, "--inventory-namespace", &namespace, "--git-cache"]);
            command.arg(self.server.secret.path().join("cache"));
            command
        };
        if self.cell.then == Then::Kill {
            command.env("SPINWAY_LEASE", LEASE.to_string());
        }
        command
    }

    fn turn(&self, seconds: u64) -> Result<Output, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file");
        let mut child =
            self.command(seconds).stdout(file("out")).stderr(file("err")).spawn().map_err(|error| error.to_string())?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break Some(status);
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap_or_default();
        let (stdout, stderr) = (read("out"), read("err"));
        match status {
            Some(status) => Ok(Output { status, stdout, stderr }),
            None => Err(format!("it hangs: {}", String::from_utf8_lossy(&stderr))),
        }
    }

    /// What the history says of the one partition.
    fn recorded(&self) -> Value {
        let namespace = format!("{}-inventory", self.site.team.name);
        let ran = self.bed.spinway(&["history", "-o", "json", "--inventory-namespace", &namespace]);
        let value: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        value["platform"].clone()
    }

    fn history(&self) -> Vec<Value> {
        self.recorded()["history"].as_array().cloned().unwrap_or_default()
    }

    fn last(&self) -> Value {
        self.history().pop().unwrap_or_default()
    }

    fn stops(&self) -> usize {
        self.recorded()["stops"].as_array().map_or(0, Vec::len)
    }
}

/// What came of cells, in a file when the campaign is to go on where it was stopped.
struct State {
    file: Option<PathBuf>,
    binary: String,
    lines: Mutex<Vec<Value>>,
}

impl State {
    fn open(full: bool) -> Self {
        let program = std::fs::read(env!("CARGO_BIN_EXE_spinway")).expect("the program");
        let binary: String = Sha256::digest(program).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let given = std::env::var_os("SPINWAY_TURNS_STATE").map(PathBuf::from);
        let file = full.then(|| given.unwrap_or_else(|| tests_dir().join("../target/second-turns.jsonl")));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        // Another build may do otherwise.
        let lines = lines.filter(|line: &Value| line["binary"] == binary).collect();
        Self { file, binary, lines: Mutex::new(lines) }
    }

    /// What came of a cell, if it was run.
    fn of(&self, cell: &Cell) -> Option<Value> {
        let lines = self.lines.lock().expect("a lock");
        lines.iter().find(|line| line["cell"] == cell.to_string()).cloned()
    }

    fn add(&self, cell: &Cell, outcome: &Outcome, took: Duration) {
        let Outcome { tally, wrong, turns } = outcome;
        let told = wrong.iter().map(|why| format!("\n    {why}")).collect::<String>();
        println!("{cell} in {} s, {turns} turns when the cause was gone: {tally}{told}", took.as_secs());
        let line = json!({"binary": self.binary, "cell": cell.to_string(), "requests": tally.requests, "failed": tally.failed,
                          "turns": turns, "seconds": took.as_secs(), "wrong": wrong});
        if let Some(file) = &self.file {
            let opened = File::options().create(true).append(true).open(file);
            writeln!(opened.expect("the state can be written"), "{line}").expect("a line");
        }
        self.lines.lock().expect("a lock").push(line);
    }
}
