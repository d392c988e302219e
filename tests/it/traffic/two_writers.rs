//! Two writers that meet under load: whichever comes when, no request fails, one is after the other, and nothing of the one
//! that was overtaken is left.
//!
//! The copies differ in the App's image and in its routes, one of which has another name in each.

use super::bed::Bed;
use super::campaign::{self, Job};
use super::cell::{self, LEAD, Outcome, Tool};
use super::kubelet::Pods;
use super::scenarios::{by_path, files, target};
use super::site::{Site, expect};
use super::team::{Files, Team};
use super::traefik::Lane;
use crate::git_server::GitServer;
use crate::one_writer::{Log, race, turns, twenty, written_down};
use crate::repo::Repo;
use crate::run::{Ran, code};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::process::{Command, Output};
use std::time::Duration;

/// What CI runs: who meets, and the number of the offset.
const SAMPLE: [(Kind, usize); 2] = [(Kind::Applies, 3), (Kind::Agents, 8)];

/// Who meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Two applies, each of its own copy.
    Applies,
    /// An apply of a copy, and an agent.
    ApplyAndAgent,
    /// Two agents, one of which has pulled the newer revision.
    Agents,
    /// Two applies of an older and of a newer revision.
    Revisions,
}

const KINDS: [Kind; 4] = [Kind::Applies, Kind::ApplyAndAgent, Kind::Agents, Kind::Revisions];

/// Two writers, the second of which begins later.
#[derive(Clone, Copy, Debug)]
struct Meeting {
    kind: Kind,
    number: usize,
    offset: u64,
    lane: Lane,
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two] = match self.kind {
            Kind::Applies => ["apply of one copy", "apply of another"],
            Kind::ApplyAndAgent => ["agent", "apply"],
            Kind::Agents => ["agent with the older revision", "agent with the newer one"],
            Kind::Revisions => ["apply of the older revision", "apply of the newer one"],
        };
        let (first, second) = if self.begins_with_one() { (one, two) } else { (two, one) };
        write!(f, "{first}, {} ms later {second}, {}", self.offset, self.lane.class())
    }
}

impl Meeting {
    fn begins_with_one(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

fn all() -> Vec<Meeting> {
    let lanes = [(2, false), (2, true), (3, false), (3, true)].map(|(throttle, churn)| Lane { throttle, churn });
    let of = |(number, offset): (usize, u64), kind: usize| {
        let lane = lanes[(number + kind) % lanes.len()];
        Meeting { kind: KINDS[kind], number, offset, lane }
    };
    twenty().enumerate().flat_map(|at| (0..KINDS.len()).map(move |kind| of(at, kind))).collect()
}

/// Runs the campaign.
pub fn run(bed: &Bed) {
    let (full, only) = (campaign::full(), campaign::only());
    let mut meetings = all();
    let sampled = |meeting: &Meeting| SAMPLE.contains(&(meeting.kind, meeting.number));
    meetings
        .retain(|meeting| only.as_ref().map_or(full || sampled(meeting), |only| meeting.to_string().contains(only)));
    assert!(!meetings.is_empty(), "no cell is {only:?}");
    let job = |meeting: Meeting| Job {
        cell: meeting.to_string(),
        scenario: "two writers".to_owned(),
        tool: Tool::Spinway,
        lane: meeting.lane,
        run: Box::new(move |name| meet(bed, meeting, name)),
    };
    campaign::judge("two writers", &campaign::run_all(meetings.into_iter().map(job).collect()));
}

/// The versions that the copies have: how each is named, and which image it has.
const VERSIONS: [(&str, char); 3] = [("base", 'a'), ("one", 'b'), ("two", 'c')];

fn image(team: &Team, version: &str) -> String {
    let (_, digit) = VERSIONS.into_iter().find(|(name, _)| *name == version).expect("a version");
    team.image("cart", digit)
}

/// The files of a version: `two` names the route that all have otherwise.
fn copy(team: &Team, version: &str) -> Files {
    let main = by_path(team, Some(if version == "two" { "way" } else { "cart" }), "/cart");
    let own = by_path(team, Some(version), &format!("/{version}"));
    let mut files = files(team, &[team.app("cart", &image(team, version), &[main, own], "")]);
    for (_, text) in files.iter_mut().filter(|(path, _)| path == "spinway.yaml") {
        *text = text.replace("{name: test}", "{name: test, drift: correct}");
    }
    files
}

/// What the writers of a meeting work with.
struct Bench<'a> {
    site: Site<'a>,
    /// A copy that knows version `two` alone.
    other: Site<'a>,
    server: GitServer,
    log: Log,
}

fn meet(bed: &Bed, meeting: Meeting, name: &str) -> Outcome {
    let bench = Bench::new(bed, name, meeting.lane);
    let mut outcome = Outcome::default();
    if let Err(why) = bench.begin(meeting.kind) {
        outcome.wrong.push(format!("before the change: {why}"));
        return outcome;
    }
    let images = VERSIONS.map(|(version, _)| image(&bench.site.team, version));
    let load = bench.site.load(&[target(bench.site.team.host(), "/cart", &images)]);
    std::thread::sleep(LEAD);
    let raced = bench.race(meeting).and_then(|last| bench.settled(meeting.kind, last));
    let ended = raced.and_then(|last| bench.next_turn(meeting.kind, last));
    outcome.tally = cell::finish(load);
    outcome.wrong.extend(ended.err());
    outcome
}

impl<'a> Bench<'a> {
    fn new(bed: &'a Bed, name: &str, lane: Lane) -> Self {
        let [site, other] = [(); 2].map(|()| Site::new(bed, name, lane, Pods::default()));
        for (version, _) in VERSIONS {
            site.write(&copy(&site.team, version));
            site.repo.commit(version);
            site.repo.git(&["branch", version]);
        }
        other.write(&copy(&other.team, "two"));
        other.repo.commit("two");
        let server = GitServer::https(&site.repo);
        for repo in [&site.repo, &other.repo] {
            repo.git(&["remote", "add", "origin", &server.url]);
        }
        Self { site, other, server, log: Log::default() }
    }

    fn apply(&self, repo: &Repo, more: &[&str]) -> Command {
        let arguments =
            ["apply", repo.dir(), "--yes", "--concurrency", "2", "--timeout", "60", "--lock-timeout", "120"];
        self.site.bed.command(&[&arguments, more].concat())
    }

    fn agent(&self, branch: &str) -> Command {
        let cache = self.server.secret.path().join(format!("cache-{branch}")).display().to_string();
        let options = self.server.options();
        let mut arguments = vec!["agent", "--once", "--no-events", "--timeout", "60", "--branch", branch];
        arguments.extend(["--git-cache", &cache]);
        arguments.extend(options.iter().map(String::as_str));
        self.site.bed.command(&arguments)
    }

    /// Version `base` is applied and served.
    fn begin(&self, kind: Kind) -> Result<(), String> {
        let mut command = match kind {
            Kind::ApplyAndAgent | Kind::Agents => self.agent("base"),
            Kind::Applies | Kind::Revisions => self.apply(&self.site.repo, &["--ref", "base"]),
        };
        expect(&command.output().expect("spinway runs"), 0)?;
        self.site.repo.git(&["checkout", "-q", "one"]);
        self.is_served("base", Duration::from_secs(40))?;
        std::thread::sleep(Duration::from_secs(self.site.team.lane.throttle));
        Ok(())
    }

    fn is_served(&self, version: &str, patience: Duration) -> Result<(), String> {
        let team = &self.site.team;
        let images = [image(team, version)];
        let targets = ["/cart".to_owned(), format!("/{version}")].map(|path| target(team.host(), &path, &images));
        self.site.served(&targets, patience).map_err(|why| format!("{version} is not served: {why}"))
    }

    /// A command whose writes are held up and written down.
    fn slow(&self, version: &'static str, mut command: Command) -> Command {
        let proxy = self.site.bed.proxy(written_down(version, &self.log), |_| {});
        let file = self.server.secret.path().join(format!("kubeconfig-{version}"));
        std::fs::write(&file, proxy.kubeconfig()).expect("a file");
        command.env("KUBECONFIG", file);
        command
    }

    /// Lets both write, and returns whose version must be there in the end.
    fn race(&self, meeting: Meeting) -> Result<&'static str, String> {
        let [one, two] = match meeting.kind {
            Kind::Applies => [self.apply(&self.site.repo, &[]), self.apply(&self.other.repo, &[])],
            Kind::ApplyAndAgent => [self.agent("one"), self.apply(&self.other.repo, &[])],
            Kind::Agents => [self.agent("one"), self.agent("two")],
            Kind::Revisions => ["one", "two"].map(|version| self.apply(&self.site.repo, &["--ref", version])),
        };
        let (one, two) = (self.slow("one", one), self.slow("two", two));
        let (one, two) = if meeting.begins_with_one() {
            race(one, two, meeting.offset)
        } else {
            let (two, one) = race(two, one, meeting.offset);
            (one, two)
        };
        judge(meeting.kind, &one, &two, &turns(&self.log))
    }

    /// The version is there, all of it and nothing else.
    fn settled(&self, kind: Kind, version: &'static str) -> Result<&'static str, String> {
        self.is_served(version, Duration::from_secs(15))?;
        let place: Vec<&str> = if version == "two" && matches!(kind, Kind::Applies | Kind::ApplyAndAgent) {
            vec![self.other.repo.dir()]
        } else {
            vec![self.site.repo.dir(), "--ref", version]
        };
        let run = |arguments: &[&str]| self.site.bed.spinway(&[arguments, &place].concat());
        let planned = run(&["plan", "--exit-code"]);
        expect(&planned, 0).map_err(|why| format!("something of {version} is left to do: {why}"))?;
        let rendered = run(&["render", "-o", "json"]);
        expect(&rendered, 0)?;
        let rendered: Vec<Value> = serde_json::from_slice(&rendered.stdout).map_err(|error| error.to_string())?;
        let (wanted, live) = (names(&rendered), self.live());
        if wanted == live { Ok(version) } else { Err(format!("a mixture: {live:?} instead of {wanted:?}")) }
    }

    /// SpinApps and HTTPRoutes that are there.
    fn live(&self) -> BTreeSet<String> {
        let name = &self.site.team.name;
        let list = |path: &str, kind: &str| {
            let list = self.site.bed.get(&path.replace("NS", name)).unwrap_or_default();
            let mut items = list["items"].as_array().cloned().unwrap_or_default();
            // Items of a list have no kind.
            items.iter_mut().for_each(|item| item["kind"] = kind.into());
            names(&items)
        };
        let mut all = list("/apis/core.spinkube.dev/v1alpha1/namespaces/NS/spinapps", "SpinApp");
        all.append(&mut list("/apis/gateway.networking.k8s.io/v1/namespaces/NS/httproutes", "HTTPRoute"));
        all
    }

    /// The next turn of an agent that an apply has overtaken, still under load.
    fn next_turn(&self, kind: Kind, last: &'static str) -> Result<(), String> {
        if kind != Kind::ApplyAndAgent {
            return Ok(());
        }
        let ran = self.agent("one").output().expect("spinway runs");
        expect(&ran, 0).map_err(|why| format!("the agent's turn after {last}: {why}"))?;
        self.settled(kind, "one").map(|_| ())
    }
}

/// Objects of teams by kind and name.
fn names(objects: &[Value]) -> BTreeSet<String> {
    let ours = |object: &&Value| object["kind"] == "SpinApp" || object["kind"] == "HTTPRoute";
    let name = |object: &Value| {
        let image = object["spec"]["image"].as_str().unwrap_or_default();
        format!("{} {} {image}", object["kind"], object["metadata"]["name"])
    };
    objects.iter().filter(ours).map(name).collect()
}

/// Whose version must be there, by what both said and by whose turns there were; or what is wrong with that.
fn judge(kind: Kind, one: &Output, two: &Output, turns: &[&'static str]) -> Result<&'static str, String> {
    let fits = match (kind, code(one), code(two)) {
        (Kind::Applies | Kind::ApplyAndAgent, 0, 0) => turns.len() == 2,
        // The agent comes again with its next turn.
        (Kind::ApplyAndAgent, 4, 0) => turns == ["two"],
        (Kind::Agents | Kind::Revisions, 0, 0) => turns == ["one", "two"],
        // The older one is refused when the newer one has written.
        (Kind::Agents | Kind::Revisions, 3, 0) | (Kind::Agents, 4, 0) => turns == ["two"],
        (Kind::Agents, 0, 4) => turns == ["one"],
        _ => false,
    };
    match turns.last() {
        Some(last) if fits => Ok(last),
        _ => Err(format!("writes of {turns:?}\none: {}\ntwo: {}", Ran(one), Ran(two))),
    }
}
