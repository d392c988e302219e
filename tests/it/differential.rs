//! Law 12: a plan against a revision is the plan of a cluster on which that revision was applied.
//!
//! Pairs of repositories come from a seed. The base is applied on a real API server and a snapshot is taken; the head is planned by
//! the snapshot and against the base. Both must agree in all but what only a cluster knows: uids, digests, and whether things are
//! there that the repository refers to and does not have.

mod pairs;

use crate::cluster::Cluster;
use crate::oracle::texts::Random;
use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr};
use crate::stand_in::StandIn;
use pairs::Files;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many pairs CI plans, and the full campaign.
const SAMPLE: u64 = 20;
const FULL: u64 = 300;
/// How often the full campaign sees at least each action, reason and check.
const OFTEN: usize = 5;

/// Findings about references to what is not in the repository: only a cluster knows whether it is there. And that the rules
/// change, which only a revision shows.
const OF_A_CLUSTER: [&str; 3] = ["SPW001", "reference-dangling", "rules-change"];
const DOUBLE: &str = "exactly one PathPrefix match must be specified";
/// What a plan by a snapshot says of itself.
const OF_A_SNAPSHOT: [&str; 2] = ["It is not in the snapshot", "Secret values are not in a snapshot"];

/// Reasons by a part of their sentence: each is seen often.
const REASONS: [&str; 24] = [
    "It has errors",
    ", which is blocked",
    ", which waits.",
    "still uses it, and does after this plan.",
    "No other policy restricts the egress of the running pods",
    "restricts its egress and is not applied",
    "It gives up requests that",
    "still needs what this takes away",
    "which a protected environment requires",
    "It is part of a dependency cycle.",
    "It exists and no inventory owns it",
    "It belongs to ApplySet",
    "always waits for approval",
    "It is one of spinway's own objects",
    "The environment is protected",
    "It is the last route of",
    "deletions in partition",
    "deletions in the environment",
    "takes its place: a rename",
    "which the new definition does not have.",
    "Objects may be stored as",
    "It is no longer in the repository.",
    "which is no longer served.",
    "has no `serviceAccount`",
];
/// Checks that no pair brings: those of notes, of several environments and of suppressions, and what needs the Config of a time
/// before there were lists.
const NOT_SEEN: [&str; 7] = ["SPW001", "SPW015", "SPW017", "SPW027", "SPW090", "SPW110", "SPW112"];

/// How often something was seen.
#[derive(Default)]
struct Seen(BTreeMap<String, usize>);

impl Seen {
    fn count(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }

    fn report(&mut self, report: &Value) {
        for row in report["changes"].as_array().expect("changes") {
            self.count(&format!("action {}", text(&row["action"])));
            for because in row["because"].as_array().expect("reasons") {
                for reason in REASONS.iter().filter(|reason| text(because).contains(**reason)) {
                    self.count(&format!("reason {reason}"));
                }
            }
        }
        for finding in report["diagnostics"].as_array().expect("findings") {
            self.count(&format!("finding {}", text(&finding["id"])));
        }
    }

    fn rare(&self, what: &str) -> bool {
        self.0.get(what).copied().unwrap_or_default() < OFTEN
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The objects that a plan blocks for what only a cluster knows: what they would send requests to is not there (the plan against
/// a revision has a warning, SPW001), or a controller made an object of their name.
fn lacking(live: &Value) -> Vec<Value> {
    let lacks = |row: &&Value| {
        let because = row["because"].as_array().expect("reasons");
        because.iter().map(text).any(|because| {
            because.ends_with("would serve requests and does not exist.")
                || because.starts_with("It belongs to controller ")
        })
    };
    live["changes"].as_array().expect("changes").iter().filter(lacks).map(|row| row["object"].clone()).collect()
}

/// What both plans must agree in: each object's row, and the findings. Of those that lack something it is what would change.
fn comparable(report: &Value, lacking: &[Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // The definition of HTTPRoute says once more what SPW011 says.
    let is_double = |finding: &Value| text(&finding["message"]).ends_with(DOUBLE);
    let doubled = report["diagnostics"].as_array().expect("findings").iter().any(is_double);
    for row in report["changes"].as_array().expect("changes") {
        let because: Vec<&str> = row["because"].as_array().expect("reasons").iter().map(text).collect();
        let because = because.iter().filter(|b| !OF_A_SNAPSHOT.iter().any(|known| b.starts_with(known)));
        // That a reference dangles is an error where a cluster says so.
        let because = because.map(|b| b.replace(", reference-dangling", ""));
        let because: Vec<String> = because.map(|b| if doubled { b.replace("SPW004, ", "") } else { b }).collect();
        let mut told = json!({"action": row["action"], "intended": row["intended"], "partition": row["partition"], "fields": row["fields"],
            "because": because, "breaks": row["breaks"], "steps": row["steps"], "needs": row["needs"], "facts": row["facts"]});
        if lacking.contains(&row["object"]) {
            told = json!({"partition": row["partition"], "fields": row["fields"]});
        }
        told.sort_all_objects();
        let object = &row["object"];
        found.insert(format!(
            "{} {}/{} {told}",
            text(&object["kind"]),
            text(&object["namespace"]),
            text(&object["name"])
        ));
    }
    let findings = report["diagnostics"].as_array().expect("findings").iter();
    let is_of_a_cluster = |finding: &&Value| {
        OF_A_CLUSTER.contains(&text(&finding["id"]))
            || text(&finding["message"]).ends_with(": Missing: It does not exist.")
            || is_double(finding)
    };
    for finding in findings.filter(|finding| !is_of_a_cluster(finding)) {
        let place = format!("{}:{}:{}", text(&finding["file"]), finding["line"], finding["column"]);
        found.insert(format!(
            "{} {} {place} {}",
            text(&finding["id"]),
            text(&finding["severity"]),
            text(&finding["message"])
        ));
    }
    found.insert(format!("held {:?}", held(report)));
    found.insert(format!("refused {}", report["refused"]));
    found
}

/// What waits for approval, without uids.
fn held(report: &Value) -> Vec<String> {
    let objects = report["destruction"]["objects"].as_array().expect("objects").iter();
    objects.map(|held| format!("{} {} {}", text(&held["action"]), held["object"], text(&held["new"]))).collect()
}

fn write(repo: &Repo, files: &Files) {
    for folder in ["apps", "platform"] {
        let _ = std::fs::remove_dir_all(repo.file(folder));
    }
    let _ = std::fs::remove_file(repo.file("spinway.yaml"));
    files.iter().for_each(|(path, text)| repo.write(path, text));
}

struct Pair {
    repo: Repo,
    own: tempfile::TempDir,
    base: Files,
    head: Files,
    changes: Vec<&'static str>,
}

impl Pair {
    /// Applies the base, and gives the pair with the head in its folder.
    fn apply(cluster: &Cluster, uid: &str, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let base = pairs::base(&mut random);
        let (head, changes) = pairs::head(&base, uid, seed, &mut random);
        let repo = Repo::empty();
        write(&repo, &base);
        repo.commit("base");
        let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--no-wait", "-o", "json"]);
        let failed = json(&ran)["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .any(|row| row["action"] != "blocked" && row.get("result").is_some_and(|result| result != "done"));
        assert!(code(&ran) <= 1 && !failed, "seed {seed}: the API server accepts the base: {}", Ran(&ran));
        Self { repo, own: tempfile::tempdir().expect("a folder"), base, head, changes }
    }

    /// The plans of the head: by a snapshot of the cluster, and against the base.
    fn plan(&self, cluster: &Cluster) -> (Value, Value) {
        let file = self.own.path().join("snapshot.json");
        let file = file.to_str().expect("a path");
        write(&self.repo, &self.base);
        let ran = cluster.spinway(&["snapshot", self.repo.dir(), "-o", file]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        write(&self.repo, &self.head);
        let by = |more: [&str; 2]| {
            let ran = run(&["plan", self.repo.dir(), "-o", "json", more[0], more[1]]);
            assert!(matches!(code(&ran), 0 | 3), "{}", Ran(&ran));
            // Rules that cannot be read leave no plan.
            match ran.stdout.is_empty() {
                true => {
                    json!({"changes": [], "diagnostics": [], "destruction": {"objects": []}, "refused": stderr(&ran)})
                }
                false => json(&ran),
            }
        };
        (by(["--snapshot", file]), by(["--against", "HEAD"]))
    }
}

/// What differs between the plans of a pair, in lines; nothing when they agree.
fn difference(cluster: &Cluster, pair: &Pair, seen: &mut Seen) -> String {
    let mut differs = String::new();
    // Statuses come a little later than what they are of.
    for wait in [300, 700, 1500, 3000] {
        std::thread::sleep(Duration::from_millis(wait));
        let (live, against) = pair.plan(cluster);
        let lacking = lacking(&live);
        let (one, other) = (comparable(&live, &lacking), comparable(&against, &lacking));
        let lines = |mine: &BTreeSet<String>, other: &BTreeSet<String>, sign: char| -> Vec<String> {
            mine.difference(other).map(|line| format!("{sign} {line}")).collect()
        };
        differs = [lines(&one, &other, '-'), lines(&other, &one, '+')].concat().join("\n");
        if differs.is_empty() {
            seen.report(&against);
            break;
        }
    }
    differs
}

#[test]
fn a_plan_against_a_revision_is_the_plan_of_a_cluster_on_which_it_was_applied() {
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|campaign| campaign == "full");
    let seeds: Vec<u64> = match std::env::var("SPINWAY_SEED") {
        // One, or those from one to another: `SPINWAY_SEED=20-60`.
        Ok(seeds) => {
            let (first, last) = seeds.split_once('-').unwrap_or((&seeds, &seeds));
            (first.parse().expect("a number")..=last.parse().expect("a number")).collect()
        }
        Err(_) => (0..if full { FULL } else { SAMPLE }).collect(),
    };
    let mut cluster = Cluster::take();
    let namespace = cluster.get("/api/v1/namespaces/kube-system").expect("it is there");
    let uid = text(&namespace["metadata"]["uid"]).to_owned();
    let (mut seen, mut wrong) = (Seen::default(), Vec::new());
    for seed in &seeds {
        cluster.again();
        let _controller = StandIn::start(&cluster, Duration::from_millis(20));
        let pair = Pair::apply(&cluster, &uid, *seed);
        let differs = difference(&cluster, &pair, &mut seen);
        pair.changes.iter().for_each(|change| seen.count(&format!("change {change}")));
        if !differs.is_empty() {
            println!("seed {seed} differs");
            wrong.push(format!("seed {seed} ({}):\n{differs}", pair.changes.join(", ")));
        }
    }
    println!("{} pairs: {:#?}", seeds.len(), seen.0);
    assert!(
        wrong.is_empty(),
        "{} of {} pairs differ (- snapshot, + revision)\n{}",
        wrong.len(),
        seeds.len(),
        wrong.join("\n")
    );
    if full {
        let actions = ["create", "update", "delete", "adopt", "unchanged", "blocked", "held"];
        let checks = spinway::check::CHECKS.iter().map(|check| check.id).filter(|id| !NOT_SEEN.contains(id));
        let wanted = actions.map(|action| format!("action {action}")).into_iter();
        let wanted = wanted.chain(REASONS.map(|reason| format!("reason {reason}")));
        let rare: Vec<String> =
            wanted.chain(checks.map(|id| format!("finding {id}"))).filter(|what| seen.rare(what)).collect();
        assert!(rare.is_empty(), "seen less than {OFTEN} times: {rare:#?}");
    }
}

/// A pair whose rules cannot be read shows nothing.
#[test]
fn each_changed_rule_of_a_pair_can_be_read() {
    for (name, change) in pairs::CHANGES.iter().filter(|(name, _)| name.starts_with("rule-")) {
        let mut random = Random::new(1);
        let base = std::iter::repeat_with(|| pairs::base(&mut random)).find(|base| base.contains_key("spinway.yaml"));
        let mut head = base.expect("one with a Config");
        let before = head.clone();
        change(&mut head, &mut Random::new(1));
        assert_ne!(head, before, "{name} changes something");
        head.values_mut().for_each(|text| *text = text.replace("THE-CLUSTER", "6ff0a5a4-0000-4000-8000-000000000000"));
        let repo = Repo::empty();
        write(&repo, &head);
        let report = json(&run(&["check", repo.dir(), "-o", "json"]));
        let found = report["diagnostics"].as_array().expect("findings").iter();
        let of_config: Vec<&Value> = found
            .filter(|finding| {
                finding["file"] == "spinway.yaml"
                    && finding["severity"] == "error"
                    && !text(&finding["id"]).starts_with("SPW")
            })
            .collect();
        assert!(of_config.is_empty(), "{name}: {of_config:#?}");
    }
}
