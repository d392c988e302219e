//! What is measured at one size.

use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::measure::{self, Cost, median};
use crate::workload::Workload;
use crate::{Arguments, bare, reading};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// The most objects for which kubectl, which asks for every object, is run too.
const KUBECTL_UP_TO: usize = 3100;
/// How many objects drift.
const DRIFTED: usize = 10;

/// What a row may cost in the release build: rows beyond it are marked in the table, and fail nothing, since machines
/// differ. A limit is a row of this list, never an assertion of a test.
const LIMITS: [Limit; 2] = [
    Limit { row: "plan, nothing to do", objects: 10_000, peak: 256.0, wall: 3.0 },
    Limit { row: "first apply", objects: 10_000, peak: 640.0, wall: 60.0 },
];

/// The most that a row may cost at this size, or a smaller one.
pub struct Limit {
    row: &'static str,
    objects: usize,
    /// MiB.
    pub peak: f64,
    /// Seconds.
    pub wall: f64,
}

/// The limit of a row at a size.
pub fn limit(row: &str, objects: usize) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| limit.row == row && objects <= limit.objects)
}

/// One line of the table.
pub struct Row {
    /// What was done.
    pub name: &'static str,
    /// What it cost.
    pub cost: Cost,
    /// Requests by verb.
    pub requests: Value,
    /// Seconds by phase.
    pub seconds: Value,
    /// The floor that it is held against.
    pub floor: Option<&'static str>,
}

/// The figures of one size.
pub struct Size {
    pub objects: usize,
    pub apps: usize,
    pub rows: Vec<Row>,
}

struct Bench<'a> {
    cluster: Cluster,
    workload: Workload,
    arguments: &'a Arguments,
    rows: Vec<Row>,
}

/// Measures everything at a size.
pub fn run(objects: usize, arguments: &Arguments) -> Size {
    let workload = Workload::of(objects, arguments.seed);
    let (objects, apps) = (workload.objects(), workload.apps);
    eprintln!("{objects} objects, {apps} apps");
    let mut bench = Bench { cluster: Cluster::take(), workload, arguments, rows: Vec::new() };
    if arguments.hold {
        bench.hold();
    }
    bench.read();
    bench.first_apply();
    bench.nothing_to_do();
    bench.agent_idle();
    bench.drifted();
    bench.pending();
    bench.snapshot();
    bench.kubectl();
    Size { objects, apps, rows: bench.rows }
}

impl Bench<'_> {
    /// Applies everything and waits to be killed.
    fn hold(&self) {
        let dir = self.dir();
        self.spinway(&["apply", &dir, "--yes", "--no-wait"], true);
        let lists = self.workload_file("lists", &self.lists());
        println!("export KUBECONFIG={}\nDIR={dir}\nLISTS={lists}", self.cluster.kubeconfig().display());
        loop {
            std::thread::park();
        }
    }

    fn dir(&self) -> String {
        self.workload.path().display().to_string()
    }

    /// Runs spinway as a person does, and keeps its JSON report too when that is wanted.
    fn spinway(&self, arguments: &[&str], json: bool) -> Cost {
        let config = self.cluster.kubeconfig().display().to_string();
        let format = if json { "json" } else { "text" };
        let mut cost = measure::run(
            self.cluster.folder(),
            Path::new(env!("CARGO_BIN_EXE_spinway")),
            &[arguments, &["-o", format]].concat(),
            &[("KUBECONFIG", &config)],
        );
        assert!(cost.code == 0, "{}", failure(arguments, &cost));
        if !json {
            cost.output.clear();
        }
        cost
    }

    /// The run with the median wall time, with the JSON report of one more run that is not timed.
    fn median(&self, runs: Vec<Cost>, arguments: &[&str]) -> Cost {
        Cost { output: self.spinway(arguments, true).output, ..median(runs) }
    }

    fn this(&self, arguments: &[&str]) -> Cost {
        let program = std::env::current_exe().expect("this program");
        let cost = measure::run(self.cluster.folder(), &program, arguments, &[]);
        assert_eq!(cost.code, 0, "{arguments:?}: {}", cost.errors);
        cost
    }

    fn push(&mut self, name: &'static str, mut cost: Cost, floor: Option<&'static str>) -> Value {
        let report: Value = serde_json::from_str(&cost.output).unwrap_or_default();
        cost.output.clear();
        let row = Row { name, requests: report["requests"].clone(), seconds: report["seconds"].clone(), cost, floor };
        eprintln!(
            "  {name}: {:.2} s, {:.2} s CPU, {:.0} MiB, {}",
            row.cost.wall, row.cost.cpu, row.cost.peak, row.requests
        );
        self.rows.push(row);
        report
    }

    fn read(&mut self) {
        let dir = self.dir();
        let (objects, plain) = (self.workload.objects(), self.workload.plain_objects());
        for (name, one_file, objects) in [
            ("read the repository", None, objects),
            ("read one file an object", Some(false), plain),
            ("read one file in all", Some(true), plain),
        ] {
            let made = one_file.map(|one_file| self.workload.plain(one_file));
            let folder = made.as_ref().map_or_else(|| dir.clone(), |made| made.path().display().to_string());
            // A file beyond the budget is refused: then there is nothing to measure.
            if one_file == Some(true)
                && std::fs::metadata(Path::new(&folder).join("all.yaml")).is_ok_and(|m| m.len() > 8 << 20)
            {
                continue;
            }
            let objects = objects.to_string();
            let runs = (0..self.arguments.runs).map(|_| self.this(&[reading::ROLE, &folder, &objects])).collect();
            self.push(name, median(runs), None);
        }
    }

    /// The first apply, without health waits: nothing stands for the Spin operator here.
    fn first_apply(&mut self) {
        let dir = self.dir();
        let apply = ["apply", dir.as_str(), "--yes", "--no-wait"];
        let first = self.spinway(&apply, true);
        let lines = self.patches();
        let file = self.workload_file("patches", &lines);
        self.again();
        let config = self.cluster.kubeconfig().display().to_string();
        let floor = self.this(&[bare::PATCH, &config, &file]);
        self.again();
        let second = self.spinway(&apply, true);
        assert!(lines.lines().count() >= self.workload.objects(), "the floor sends every object");
        self.push("floor: bare patches", floor, None);
        let best = if first.wall < second.wall { first } else { second };
        let report = self.push("first apply", best, Some("floor: bare patches"));
        let rows = report["changes"].as_array().expect("rows");
        let done = rows.iter().filter(|row| row["action"] == "create" && row["result"] == "done").count();
        assert_eq!(done, self.workload.objects(), "everything is new and was created: {}", report["summary"]);
    }

    /// The cluster as new.
    fn again(&mut self) {
        // The cluster is held by one at a time: let go before it is taken again.
        self.cluster.again();
    }

    /// The bodies that spinway sent, as the audit log has them.
    fn patches(&self) -> String {
        let mut lines = String::new();
        for write in self.cluster.writes().iter().filter(|w| w.verb == "patch") {
            let mut body = write.body.clone();
            if let Some(metadata) = body["metadata"].as_object_mut() {
                ["uid", "resourceVersion"].iter().for_each(|field| {
                    metadata.shift_remove(*field);
                });
            }
            let _ = writeln!(lines, "{}\t{body}", write.uri);
        }
        lines
    }

    fn workload_file(&self, name: &str, text: &str) -> String {
        let path = self.cluster.folder().join(name);
        std::fs::write(&path, text).expect("the folder can be written");
        path.display().to_string()
    }

    /// The first pages of the lists that a plan reads.
    fn lists(&self) -> String {
        let output = self.cluster.command(&["plan", &self.dir(), "-q"]).env("SPINWAY_LOG", "spinway=debug").output();
        let log = String::from_utf8_lossy(&output.expect("spinway runs").stderr).into_owned();
        let paths = log.lines().filter(|line| line.contains("verb=\"LIST\"") && !line.contains("continue="));
        let paths: Vec<&str> = paths.filter_map(|line| line.split_once("path=")?.1.split_whitespace().next()).collect();
        assert!(!paths.is_empty(), "{log}");
        paths.join("\n")
    }

    fn nothing_to_do(&mut self) {
        let dir = self.dir();
        let config = self.cluster.kubeconfig().display().to_string();
        let file = self.workload_file("lists", &self.lists());
        let (mut floor, mut plan, mut apply) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.arguments.runs {
            floor.push(self.this(&[bare::LIST, &config, &file]));
            plan.push(self.spinway(&["plan", &dir], false));
            apply.push(self.spinway(&["apply", &dir, "--yes"], false));
        }
        self.push("floor: bare lists", median(floor), None);
        let plan = self.median(plan, &["plan", &dir]);
        let apply = self.median(apply, &["apply", &dir, "--yes"]);
        for (name, cost) in [("plan, nothing to do", plan), ("apply, nothing to do", apply)] {
            let report = self.push(name, cost, Some("floor: bare lists"));
            self.unchanged(&report, name);
        }
    }

    /// A turn of the agent, which pulls from a Git server over TLS first. The cache is there, as in an agent that runs on.
    fn agent_idle(&mut self) {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.args([
                "-c",
                "user.name=b",
                "-c",
                "user.email=b@b",
                "-c",
                "init.defaultBranch=main",
                "-c",
                "gc.auto=0",
            ]);
            assert!(command.args(arguments).current_dir(self.workload.path()).status().expect("git runs").success());
        };
        git(&["init", "-q"]);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "all"]);
        let server = GitServer::https_at(self.workload.path());
        let options = server.options();
        let cache = server.secret.path().join("cache").display().to_string();
        let mut arguments = vec!["agent", "--once", "--take-inventory", "--git-cache", &cache];
        arguments.extend(options.iter().map(String::as_str));
        self.spinway(&arguments, true);
        let runs = (0..self.arguments.runs).map(|_| self.spinway(&arguments, false)).collect();
        let report = self.push("agent, nothing to do", self.median(runs, &arguments), Some("floor: bare lists"));
        self.unchanged(&report, "agent, nothing to do");
        assert_eq!(report["requests"]["GIT"], json!(1));
        assert!(report["requests"].get("PATCH").is_none() && report["requests"].get("dry-run").is_none());
        std::fs::remove_dir_all(self.workload.path().join(".git")).expect("it was made here");
        // The inventory is now that of the Git server; what follows is applied from the folder again.
        let dir = self.dir();
        self.spinway(&["apply", &dir, "--yes", "--take-inventory"], true);
    }

    fn app_path(&self, index: usize) -> String {
        let (namespace, name) = self.workload.app(index);
        format!("/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}")
    }

    fn drifted(&mut self) {
        let drifted = self.workload.plain_apps(DRIFTED);
        for index in &drifted {
            self.cluster.edit(&self.app_path(*index), "kubectl-edit", &json!({"spec": {"replicas": 9}}));
        }
        let dir = self.dir();
        let runs = (0..self.arguments.runs).map(|_| self.spinway(&["plan", &dir], false)).collect();
        let report = self.push("plan, 10 drifted", self.median(runs, &["plan", &dir]), Some("floor: bare lists"));
        assert_eq!(report["summary"]["update"], json!(drifted.len()), "the drifted objects");
        let report = self.push(
            "apply, 10 drifted",
            self.spinway(&["apply", &dir, "--yes", "--no-wait"], true),
            Some("floor: bare lists"),
        );
        let done = report["changes"].as_array().into_iter().flatten().filter(|row| row["result"] == "done").count();
        assert_eq!(done, drifted.len(), "the drifted objects are written");
        let after = self.spinway(&["plan", &dir], true).output;
        self.unchanged(&serde_json::from_str(&after).expect("a report"), "after the drift was corrected");
    }

    fn pending(&mut self) {
        let changed = self.workload.plain_apps((self.workload.objects() / 100).max(1));
        changed.iter().for_each(|index| self.workload.write_app(*index, 1));
        let dir = self.dir();
        let runs = (0..self.arguments.runs).map(|_| self.spinway(&["plan", &dir], false)).collect();
        let report = self.push("plan, 1 % pending", self.median(runs, &["plan", &dir]), Some("floor: bare lists"));
        assert_eq!(report["summary"]["update"], json!(changed.len()), "the changed objects");
        changed.iter().for_each(|index| self.workload.write_app(*index, 0));
    }

    fn snapshot(&mut self) {
        let dir = self.dir();
        let file = self.workload_file("snapshot.json", "");
        let config = self.cluster.kubeconfig().display().to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_spinway"));
        let take = ["snapshot", &dir, "--output", &file];
        let taken = measure::run(self.cluster.folder(), program, &take, &[("KUBECONFIG", &config)]);
        assert_eq!(taken.code, 0, "a snapshot is taken: {}", taken.errors);
        let kept = std::fs::read_to_string(&file).expect("the snapshot").lines().count();
        assert!(kept > self.workload.objects(), "it holds every object");
        self.push("take a snapshot", taken, Some("floor: bare lists"));
        let plan = ["plan", dir.as_str(), "--snapshot", file.as_str()];
        let runs = (0..self.arguments.runs).map(|_| self.spinway(&plan, false)).collect();
        let report = self.push("plan from a snapshot", self.median(runs, &plan), None);
        self.unchanged(&report, "plan from a snapshot");
    }

    /// kubectl with what the repository renders to: it knows no Apps.
    fn kubectl(&mut self) {
        if !self.arguments.kubectl || self.workload.objects() > KUBECTL_UP_TO {
            return;
        }
        let config = self.cluster.kubeconfig().display().to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_spinway"));
        let rendered = measure::run(self.cluster.folder(), program, &["render", &self.dir()], &[]);
        assert_eq!(rendered.code, 0, "the repository is rendered: {}", rendered.errors);
        let file = self.workload_file("rendered.yaml", &rendered.output);
        let kubectl = self.cluster.kubectl();
        let run = |verb: &[&str]| {
            let arguments = [verb, &["-f", &file, "--field-manager=kubectl"]].concat();
            let cost = measure::run(self.cluster.folder(), &kubectl, &arguments, &[("KUBECONFIG", &config)]);
            assert_eq!(cost.code, 0, "kubectl {verb:?}: {}{}", cost.output, cost.errors);
            cost
        };
        let apply = |cost: Cost| {
            let applied = cost.output.lines().filter(|line| line.ends_with(" serverside-applied")).count();
            assert_eq!(applied, self.workload.objects(), "kubectl applies every object: {}", cost.output);
            cost
        };
        let arguments = ["apply", "--server-side", "--force-conflicts"];
        // Its first apply takes what it declares; after that there is nothing to do for it.
        apply(run(&arguments));
        let diff = run(&["diff", "--server-side"]);
        assert_eq!(diff.output, "", "kubectl sees no difference");
        let again = apply(run(&arguments));
        self.push("kubectl diff, nothing to do", diff, Some("floor: bare lists"));
        self.push("kubectl apply, nothing to do", again, Some("floor: bare lists"));
    }

    /// Ends the benchmark when a report shows anything but unchanged objects, all of them.
    fn unchanged(&self, report: &Value, what: &str) {
        let rows = report["changes"].as_array().expect("rows");
        let odd = rows.iter().find(|row| row["action"] != "unchanged");
        assert!(odd.is_none() && rows.len() == self.workload.objects(), "{what}: {} {odd:#?}", report["summary"]);
    }
}

/// What a run of spinway that failed printed: of its report the summary, what is wrong with the repository, and the first
/// object that is not as it should be.
fn failure(arguments: &[&str], cost: &Cost) -> String {
    let report: Value = serde_json::from_str(&cost.output).unwrap_or_default();
    let rows = |field: &str| report[field].as_array().cloned().unwrap_or_default();
    let odd = rows("changes").into_iter().find(|row| row["result"] != "done" && row["action"] != "unchanged");
    let errors: Vec<Value> = rows("diagnostics").into_iter().filter(|d| d["severity"] == "error").take(3).collect();
    let text = if report.is_null() { cost.output.as_str() } else { "" };
    format!(
        "spinway {arguments:?}: exit {}\n{text}{}\n{:#}\n{}\n{:#}",
        cost.code,
        cost.errors,
        Value::Array(errors),
        report["summary"],
        odd.unwrap_or_default()
    )
}
