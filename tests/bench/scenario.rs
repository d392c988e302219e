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
        if cost.code != 0 {
            let report: Value = serde_json::from_str(&cost.output).unwrap_or_default();
            let rows = report["changes"].as_array().cloned().unwrap_or_default();
            let odd = rows.iter().find(|row| row["result"] != "done" && row["action"] != "unchanged");
            panic!(
                "spinway {arguments:?}: exit {}, {}\n{:#}",
                cost.code,
                report["summary"],
                odd.unwrap_or(&Value::Null)
            );
        }
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
        assert_eq!(cost.code, 0, "{arguments:?}");
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
        let folders = [
            ("read the repository", self.workload.path().to_owned(), None),
            ("read one file an object", Default::default(), Some(false)),
            ("read one file in all", Default::default(), Some(true)),
        ];
        for (name, _, plain) in folders {
            let made = plain.map(|one_file| self.workload.plain(one_file));
            let folder = made.as_ref().map_or_else(|| dir.clone(), |made| made.path().display().to_string());
            // A file beyond the budget is refused: then there is nothing to measure.
            if plain == Some(true)
                && std::fs::metadata(Path::new(&folder).join("all.yaml")).is_ok_and(|m| m.len() > 8 << 20)
            {
                continue;
            }
            let runs = (0..self.arguments.runs).map(|_| self.this(&[reading::ROLE, &folder])).collect();
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
        self.push("floor: bare patches", floor, None);
        let best = if first.wall < second.wall { first } else { second };
        let report = self.push("first apply", best, Some("floor: bare patches"));
        assert_eq!(report["summary"]["create"], json!(self.workload.objects()), "everything is new");
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
            assert_eq!(report["summary"]["unchanged"], json!(self.workload.objects()), "{name}");
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
        assert_eq!(report["summary"]["unchanged"], json!(self.workload.objects()));
        assert_eq!(report["requests"]["GIT"], json!(1));
        assert!(report["requests"].get("PATCH").is_none() && report["requests"].get("dry-run").is_none());
        std::fs::remove_dir_all(self.workload.path().join(".git")).expect("it was made here");
    }

    fn app_path(&self, index: usize) -> String {
        let (namespace, name) = self.workload.app(index);
        format!("/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}")
    }

    fn drifted(&mut self) {
        let step = (self.workload.apps / DRIFTED).max(1);
        let drifted: Vec<usize> = (0..self.workload.apps).step_by(step).take(DRIFTED).collect();
        for index in &drifted {
            self.cluster.edit(&self.app_path(*index), "kubectl-edit", &json!({"spec": {"replicas": 9}}));
        }
        let dir = self.dir();
        let runs = (0..self.arguments.runs).map(|_| self.spinway(&["plan", &dir], false)).collect();
        let report = self.push("plan, 10 drifted", self.median(runs, &["plan", &dir]), Some("floor: bare lists"));
        assert_eq!(report["summary"]["update"], json!(drifted.len()), "the drifted objects");
        let mended = self.spinway(&["apply", &dir, "--yes", "--no-wait"], true);
        assert_eq!(mended.code, 0);
    }

    fn pending(&mut self) {
        let count = (self.workload.objects() / 100).max(1);
        let step = (self.workload.apps / count).max(1);
        let changed: Vec<usize> = (0..self.workload.apps).step_by(step).take(count).collect();
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
        assert_eq!(taken.code, 0, "a snapshot is taken");
        self.push("take a snapshot", taken, Some("floor: bare lists"));
        let runs =
            (0..self.arguments.runs).map(|_| self.spinway(&["plan", &dir, "--snapshot", &file], false)).collect();
        self.push("plan from a snapshot", median(runs), None);
    }

    fn kubectl(&mut self) {
        let wanted = self.arguments.kubectl && self.workload.objects() <= KUBECTL_UP_TO;
        if !wanted || Command::new("kubectl").arg("version").arg("--client").output().is_err() {
            return;
        }
        let config = self.cluster.kubeconfig().display().to_string();
        let dir = self.dir();
        let (platform, apps) = (format!("{dir}/platform"), format!("{dir}/apps"));
        let files = ["-R", "-f", &platform, "-f", &apps, "--field-manager=kubectl"];
        let run = |verb: &[&str]| {
            let arguments = [verb, &files].concat();
            measure::run(self.cluster.folder(), Path::new("kubectl"), &arguments, &[("KUBECONFIG", &config)])
        };
        let apply = ["apply", "--server-side", "--force-conflicts"];
        // Its first apply takes what it declares; after that there is nothing to do for it.
        let first = run(&apply);
        assert_eq!(first.code, 0, "kubectl applies");
        let diff = run(&["diff", "--server-side"]);
        assert_eq!(diff.code, 0, "kubectl sees no difference");
        let again = run(&apply);
        self.push("kubectl diff, nothing to do", diff, Some("floor: bare lists"));
        self.push("kubectl apply, nothing to do", again, Some("floor: bare lists"));
    }
}
