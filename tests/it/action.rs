//! The GitHub Action: its own steps, run as a runner runs them, against a server that speaks the calls it makes.

use crate::agent::turn;
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::http_server::{Asked, HttpServer};
use crate::repo::Repo;
use crate::run::Ran;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

const BOT: &str = "github-actions[bot]";

/// Comments of one pull request, as GitHub keeps them.
#[derive(Clone, Default)]
struct Hub {
    comments: Arc<Mutex<Vec<Value>>>,
    /// The code that is answered to writes, when it is an error.
    broken: Arc<Mutex<Option<u16>>>,
}

impl Hub {
    fn serve(&self) -> HttpServer {
        let hub = self.clone();
        HttpServer::start(move |asked| hub.answer(asked))
    }

    fn answer(&self, asked: &Asked) -> (u16, Value) {
        if asked.authorization != "Bearer t0ken" {
            return (401, json!({"message": "Bad credentials"}));
        }
        if let (Some(code), true) = (*self.broken.lock().unwrap(), asked.method != "GET") {
            return (code, json!({"message": "no"}));
        }
        let mut comments = self.comments.lock().unwrap();
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        match (asked.method.as_str(), path) {
            ("GET", "/repos/acme/shop/issues/7/comments") => {
                let page: usize = query.rsplit("page=").next().unwrap().parse().unwrap();
                let part = comments.iter().skip((page - 1) * 100).take(100).cloned().collect();
                (200, Value::Array(part))
            }
            ("POST", "/repos/acme/shop/issues/7/comments") => {
                let body = asked.body["body"].as_str().unwrap();
                if body.chars().count() > 65_536 {
                    return (422, json!({"message": "body is too long"}));
                }
                let id = comments.len() + 1;
                comments.push(json!({"id": id, "user": {"login": BOT}, "body": body}));
                (201, json!({"id": id}))
            }
            ("PATCH", path) if path.starts_with("/repos/acme/shop/issues/comments/") => {
                let id: usize = path.rsplit('/').next().unwrap().parse().unwrap();
                comments[id - 1]["body"] = asked.body["body"].clone();
                (200, json!({"id": id}))
            }
            ("GET", "/repos/acme/shop/pulls/7") => (200, json!({"number": 7, "head": {"sha": "abc"}})),
            _ => (404, json!({"message": "Not Found"})),
        }
    }

    fn bodies(&self) -> Vec<String> {
        self.comments.lock().unwrap().iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a run of the Action left.
struct Run {
    steps: Vec<Output>,
    summary: String,
    outputs: BTreeMap<String, String>,
}

/// The files and contexts of a runner.
struct Runner {
    temp: tempfile::TempDir,
    event_name: &'static str,
    event: Value,
    api: String,
    inputs: BTreeMap<&'static str, String>,
}

impl Runner {
    fn new(repo: &Repo, api: &str, base: &str) -> Self {
        Self {
            temp: tempfile::tempdir().unwrap(),
            event_name: "pull_request",
            event: json!({"pull_request": {"number": 7, "base": {"sha": base}, "head": {"sha": "abc"}}}),
            api: api.to_owned(),
            inputs: BTreeMap::from([("directory", repo.dir().to_owned()), ("token", "t0ken".to_owned())]),
        }
    }

    fn with(mut self, input: &'static str, value: &str) -> Self {
        self.inputs.insert(input, value.to_owned());
        self
    }

    /// Runs the steps of `action.yml`: their scripts as they are, with the environment that its expressions give.
    fn run(&self) -> Run {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
        let (documents, found) = spinway::desired::yaml::read(&Arc::from("action.yml"), &text);
        assert!(found.is_empty(), "{found:?}");
        let action = &documents[0].value;
        let mut run = Run { steps: Vec::new(), summary: String::new(), outputs: BTreeMap::new() };
        for (n, step) in action["runs"]["steps"].as_array().unwrap().iter().enumerate() {
            assert!(!step["run"].as_str().unwrap().contains("${{"), "an expression in a script");
            let wanted = step["if"].as_str().is_none_or(|condition| self.holds(condition, action, &run));
            if !wanted {
                continue;
            }
            let file = |name: &str| self.temp.path().join(format!("{name}-{n}"));
            for name in ["output", "summary", "event"] {
                std::fs::write(file(name), "").unwrap();
            }
            std::fs::write(file("event"), self.event.to_string()).unwrap();
            let mut command = Command::new("bash");
            command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"].as_str().unwrap()]);
            let bin = Path::new(env!("CARGO_BIN_EXE_spinway")).parent().unwrap();
            command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
            command.env_remove("KUBECONFIG").env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/shop");
            command.env("GITHUB_EVENT_NAME", self.event_name).env("GITHUB_EVENT_PATH", file("event"));
            command
                .env("GITHUB_API_URL", &self.api)
                .env("GITHUB_OUTPUT", file("output"))
                .env("GITHUB_STEP_SUMMARY", file("summary"));
            for (name, value) in step["env"].as_object().unwrap() {
                command.env(name, self.expand(value.as_str().unwrap(), action, &run));
            }
            run.steps.push(command.current_dir(self.temp.path()).output().unwrap());
            run.summary.push_str(&std::fs::read_to_string(file("summary")).unwrap());
            read_outputs(&std::fs::read_to_string(file("output")).unwrap(), &mut run.outputs);
        }
        run
    }

    fn expand(&self, text: &str, action: &Value, run: &Run) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, tail) = after.split_once("}}").unwrap();
            out.push_str(before);
            let values = expression.split("||").map(|name| self.value(name.trim(), action, run));
            out.push_str(&values.into_iter().find(|value| !value.is_empty()).unwrap_or_default());
            rest = tail;
        }
        out + rest
    }

    fn value(&self, name: &str, action: &Value, run: &Run) -> String {
        if let Some(input) = name.strip_prefix("inputs.") {
            let given = self.inputs.get(input).cloned();
            return given.unwrap_or_else(|| action["inputs"][input]["default"].as_str().unwrap_or_default().to_owned());
        }
        if let Some(output) = name.strip_prefix("steps.plan.outputs.") {
            return run.outputs.get(output).cloned().unwrap_or_default();
        }
        if let Some(path) = name.strip_prefix("github.event.") {
            let value = self.event.pointer(&format!("/{}", path.replace('.', "/")));
            return value.and_then(Value::as_str).unwrap_or_default().to_owned();
        }
        assert_eq!(name, "runner.temp");
        self.temp.path().to_str().unwrap().to_owned()
    }

    fn holds(&self, condition: &str, action: &Value, run: &Run) -> bool {
        condition.split("&&").map(str::trim).all(|part| match part.split_once(' ') {
            None => part == "always()",
            Some((name, rest)) => {
                let (operator, literal) = rest.split_once(' ').unwrap();
                let same = self.value(name, action, run) == literal.trim_matches('\'');
                if operator == "==" { same } else { !same }
            }
        })
    }
}

/// Reads a file of outputs as a runner does: `NAME<<DELIMITER`, lines, `DELIMITER`.
fn read_outputs(text: &str, outputs: &mut BTreeMap<String, String>) {
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.split_once("<<").expect("a delimiter");
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
}

fn ok(run: &Run) {
    for step in &run.steps {
        assert_eq!(step.status.code(), Some(0), "{}", Ran(step));
    }
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default}}\ndata: {{k: {value}}}\n")
}

/// A base, and a change on top of it.
fn changed() -> (Repo, String) {
    let repo = Repo::with_config();
    repo.write("apps/one/a.yaml", &config_map("a", "v1"));
    let base = repo.commit("base");
    repo.write("apps/one/a.yaml", &config_map("a", "v2"));
    repo.write("apps/two/b.yaml", &config_map("b", "v1"));
    repo.commit("change");
    (repo, base)
}

#[test]
fn a_pull_request_has_one_comment_that_is_kept_up_to_date() {
    let (repo, base) = changed();
    let hub = Hub::default();
    // Someone else's comment that looks like ours, and many others.
    let forged = json!({"id": 1, "user": {"login": "mallory"}, "body": "<!-- spinway: test -->\nAll is well."});
    hub.comments.lock().unwrap().push(forged.clone());
    for n in 0..150 {
        hub.comments.lock().unwrap().push(json!({"id": n + 2, "user": {"login": "someone"}, "body": "hello"}));
    }
    let server = hub.serve();
    let run = Runner::new(&repo, &server.url, &base).run();
    ok(&run);
    assert_eq!(run.outputs["changes"], "2");
    assert!(
        run.outputs["digest"].starts_with("sha256:") && run.outputs["destruction-digest"].is_empty(),
        "{:?}",
        run.outputs
    );
    assert!(run.summary.contains("1 to create, 1 to update"), "{}", run.summary);
    let bodies = hub.bodies();
    assert_eq!((bodies.len(), bodies[0].as_str()), (152, forged["body"].as_str().unwrap()));
    assert!(
        bodies[151].starts_with("<!-- spinway: test -->\n") && bodies[151].contains("1 to update"),
        "{}",
        bodies[151]
    );
    let report = spinway::report::Report::read(
        &std::fs::read(Path::new(&run.outputs["report"]).join("test.json")).unwrap_or_default(),
    );
    assert!(report.is_err(), "the runner's folder is gone with the runner");

    // The same again changes nothing; another change updates it in place.
    server.take();
    ok(&Runner::new(&repo, &server.url, &base).run());
    assert!(server.take().iter().all(|asked| asked.method == "GET"));
    repo.write("apps/two/c.yaml", &config_map("c", "v1"));
    repo.commit("more");
    ok(&Runner::new(&repo, &server.url, &base).run());
    assert!(hub.bodies()[151].contains("2 to create"), "{}", hub.bodies()[151]);
    assert_eq!(hub.bodies().len(), 152);
    // Back to nothing: it says so, and does not stay as it was.
    repo.git(&["checkout", "-q", &base]);
    ok(&Runner::new(&repo, &server.url, &base).run());
    assert!(hub.bodies()[151].contains("1 unchanged"), "{}", hub.bodies()[151]);
}

#[test]
fn no_changes_make_no_comment_and_two_environments_make_two() {
    let (repo, base) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    repo.git(&["checkout", "-q", &base]);
    let run = Runner::new(&repo, &server.url, &base).run();
    ok(&run);
    assert_eq!((hub.bodies().len(), run.outputs["changes"].as_str()), (0, "0"));
    repo.git(&["checkout", "-q", "main"]);
    repo.edit("spinway.yaml", "{name: test}", "{name: test}, {name: live}");
    let base = repo.commit("two environments");
    repo.write("apps/one/a.yaml", &config_map("a", "v3"));
    repo.commit("change");
    let run = Runner::new(&repo, &server.url, &base).run();
    ok(&run);
    let markers: Vec<String> = hub.bodies().iter().map(|body| body.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        markers,
        ["<!-- spinway: test -->", "<!-- spinway: live -->"]
            .map(str::to_owned)
            .iter()
            .rev()
            .cloned()
            .collect::<Vec<_>>()
    );
    let digests: Value = serde_json::from_str(&run.outputs["digest"]).unwrap();
    assert!(digests["test"].is_string() && digests["live"].is_string());
    ok(&Runner::new(&repo, &server.url, &base).with("environments", "live").run());
    assert_eq!(hub.bodies().len(), 2);
}

#[test]
fn without_token_or_with_a_server_that_fails_the_plan_is_in_the_summary() {
    let (repo, base) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    let run = Runner::new(&repo, &server.url, &base).with("token", "").run();
    ok(&run);
    assert!(run.summary.contains("1 to update"));
    assert!(
        crate::run::stdout(&run.steps[1]).contains("::warning title=spinway::There is no token"),
        "{}",
        Ran(&run.steps[1])
    );
    assert_eq!(server.take().len(), 0);
    for code in [403, 500] {
        *hub.broken.lock().unwrap() = Some(code);
        let run = Runner::new(&repo, &server.url, &base).run();
        ok(&run);
        let told = crate::run::stdout(&run.steps[1]);
        assert!(told.contains(&format!("was not written: the server answers {code}")), "{told}");
        assert!(run.summary.contains("1 to update"));
    }
    let writes = server.take().into_iter().filter(|asked| asked.method == "POST").count();
    assert_eq!(writes, 2, "what may have been written is not written again");
    let run = Runner::new(&repo, &server.url, &base).with("comment", "false").run();
    assert_eq!((run.steps.len(), server.take().len()), (1, 0));
}

#[test]
fn a_plan_that_is_too_large_loses_details_first_and_whole_objects_last() {
    let (repo, base) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    let long = "x".repeat(2000);
    for n in 0..60 {
        repo.write(&format!("apps/one/many{n}.yaml"), &format!("{}  # {n}\n", config_map(&format!("m{n}"), &long)));
    }
    let base2 = repo.commit("many");
    for n in 0..60 {
        repo.write(&format!("apps/one/many{n}.yaml"), &config_map(&format!("m{n}"), &long.replace('x', "z")));
    }
    repo.commit("change them");
    ok(&Runner::new(&repo, &server.url, &base2).run());
    let body = hub.bodies()[0].clone();
    assert!(body.chars().count() <= 65_536 && body.contains("they are in the full report"), "{}", body.chars().count());
    assert_eq!(body.matches("<details>").count(), 60, "no object is lost while details can go");
    for n in 0..1500 {
        repo.write(&format!("apps/two/n{n}.yaml"), &config_map(&format!("with-a-rather-long-name-{n}"), "v"));
    }
    repo.commit("too many");
    ok(&Runner::new(&repo, &server.url, &base).run());
    let body = hub.bodies()[0].clone();
    assert!(body.chars().count() <= 65_536 && body.contains("more objects and"), "{}", &body[body.len() - 300..]);
    assert!(body.matches("<details>").count() > 100);
}

#[test]
fn a_change_of_the_rules_and_new_permissions_are_told_and_the_base_judges() {
    let (repo, _) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    let base = repo.git(&["rev-parse", "HEAD"]);
    // The pull request gives its author's team all paths, and uses a kind that was not used.
    repo.edit("spinway.yaml", "paths: [apps/one]", "paths: [apps]");
    repo.write("apps/two/role.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x, namespace: default}\n");
    repo.commit("take it all");
    let run = Runner::new(&repo, &server.url, &base).run();
    ok(&run);
    let body = hub.bodies()[0].clone();
    assert!(body.find("The rules").unwrap() < body.find("1 to create").unwrap(), "first of all: {body}");
    let (rules, permissions) =
        (body.find("The rules (spinway.yaml) change").unwrap(), body.find("The agent needs permissions").unwrap());
    assert!(rules < permissions && body.contains("Role default/spinway.t.test"), "{body}");
    let report = std::fs::read_to_string(Path::new(&run.outputs["report"]).join("test.json"));
    assert!(report.is_err());
}

#[test]
fn nobody_is_asked_for_permissions_for_what_is_refused() {
    let (repo, _) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    let base = repo.git(&["rev-parse", "HEAD"]);
    let binding = |kind: &str, namespace: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: all{namespace}}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}}\n"
        )
    };
    repo.write(
        "apps/two/rights.yaml",
        &(binding("RoleBinding", ", namespace: default") + &binding("ClusterRoleBinding", "")),
    );
    // It is no tenant's list that names this one.
    repo.write(
        "apps/one/limits.yaml",
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: default}\nspec: {}\n",
    );
    repo.write(".spinwayignore", "docs\n");
    repo.commit("rights");
    Runner::new(&repo, &server.url, &base).run();
    let body = hub.bodies()[0].clone();
    assert!(!body.contains("The agent needs permissions"), "{body}");
    assert!(body.contains("Which files are read changes with this pull request"), "{body}");
}

#[test]
fn reports_of_another_job_are_data_and_belong_to_their_pull_request() {
    let (repo, base) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    let mut runner = Runner::new(&repo, &server.url, &base).with("comment", "false");
    ok(&runner.run());
    let folder = runner.temp.path().join("spinway-reports");
    let comment = |runner: &Runner| {
        let event = runner.temp.path().join("event");
        std::fs::write(&event, runner.event.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
        command.args(["action", "comment"]).env("SPINWAY_REPORTS", &folder).env("SPINWAY_TOKEN", "t0ken");
        command.env("GITHUB_REPOSITORY", "acme/shop").env("GITHUB_API_URL", &server.url);
        command.env("GITHUB_EVENT_NAME", runner.event_name).env("GITHUB_EVENT_PATH", event).output().unwrap()
    };
    runner.event_name = "workflow_run";
    runner.event = json!({"workflow_run": {"head_sha": "other"}});
    let refused = comment(&runner);
    assert_eq!((refused.status.code(), hub.bodies().len()), (Some(3), 0), "{}", Ran(&refused));
    runner.event = json!({"workflow_run": {"head_sha": "abc"}});
    assert_eq!(comment(&runner).status.code(), Some(0));
    assert_eq!(hub.bodies().len(), 1);
    // What is no report, or says more than a report, does nothing.
    let file = folder.join("test.json");
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let mut hostile = report.clone();
    hostile["verb"] = json!("plan\n/approve @acme/owners <img src=x> ![x](http://tracker)");
    hostile["refused"] = json!({"message": "</details>\n/lgtm", "help": "@everyone [x](javascript:1)"});
    std::fs::write(&file, hostile.to_string()).unwrap();
    assert_eq!(comment(&runner).status.code(), Some(0));
    let body = hub.bodies()[0].clone();
    for word in ["@acme", "<img", "![x]", "@everyone", "](java", "\n/"] {
        assert!(!body.contains(word), "{word} in {body}");
    }
    for text in ["{}", "[", "{\"schema\": \"spinway.dev/report/v9\"}"] {
        std::fs::write(&file, text).unwrap();
        let ran = comment(&runner);
        assert!(crate::run::stdout(&ran).contains("it is no report of schema"), "{}", Ran(&ran));
        assert_eq!(hub.bodies()[0], body);
    }
}

#[test]
fn a_cluster_is_never_planned_with_for_others_and_is_for_ones_own() {
    let cluster = Cluster::take();
    let (repo, base) = changed();
    let hub = Hub::default();
    let server = hub.serve();
    let kubeconfig = cluster.kubeconfig();
    let mut runner = Runner::new(&repo, &server.url, &base).with("kubeconfig", kubeconfig.to_str().unwrap());
    for event in ["pull_request_target", "workflow_run"] {
        runner.event_name = event;
        let run = runner.run();
        assert_eq!(run.steps[0].status.code(), Some(3), "{}", Ran(&run.steps[0]));
    }
    runner.event_name = "pull_request";
    let run = runner.run();
    ok(&run);
    assert!(run.summary.contains("2 to create") && run.summary.contains("requests"), "{}", run.summary);
    // The second example: exactly the plan of this run is applied.
    let plan = Runner::new(&repo, &server.url, "")
        .with("kubeconfig", kubeconfig.to_str().unwrap())
        .with("comment", "false")
        .run();
    let apply = |digest: &str| cluster.spinway(&["apply", repo.dir(), "--plan", digest, "--yes"]);
    let applied = apply(&plan.outputs["digest"]);
    assert_eq!(applied.status.code(), Some(0), "{}", Ran(&applied));
    assert_eq!(apply(&plan.outputs["digest"]).status.code(), Some(3), "it is good for once");
    let held = Runner::new(&repo, &server.url, &base).with("fail-on", "blocked").run();
    assert_eq!(held.steps[0].status.code(), Some(0));
}

#[test]
fn a_pull_request_is_planned_by_what_the_agent_keeps_on_its_branch() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("apps/one/a.yaml", &config_map("a", "v1"));
    let base = repo.commit("base");
    let server = GitServer::https(&repo);
    repo.git(&["config", "http.receivepack", "true"]);
    let secret = server.secret.path().to_str().unwrap();
    let ran = turn(&cluster, &server, &["--env", "test", "--snapshot-branch", "live", "--snapshot-secret", secret]);
    assert_eq!(ran.status.code(), Some(0), "{}", Ran(&ran));
    repo.write("apps/one/a.yaml", &config_map("a", "v2"));
    repo.commit("change");
    let hub = Hub::default();
    let github = hub.serve();
    let run = Runner::new(&repo, &github.url, &base).with("snapshot-branch", "live").run();
    ok(&run);
    let body = &hub.bodies()[0];
    assert!(body.contains("snapshot of") && body.contains("less than an hour old"), "{body}");
    assert!(body.contains("1 to update") && body.contains("v1") && body.contains("v2"), "{body}");
    // A branch that is not there is a warning, and the base stands in for live state.
    let run = Runner::new(&repo, &github.url, &base).with("snapshot-branch", "none").run();
    ok(&run);
    let said = String::from_utf8_lossy(&run.steps[0].stdout).into_owned();
    assert!(said.contains("::warning") && said.contains("none/test"), "{said}");
}
