//! What people tell an environment: rollback, suspend, resume, approve, history; under the installed permissions.

use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::repo::Repo;
use crate::run::{Ran, code, json, row, stderr, stdout};
use crate::stand_in::StandIn;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

const TEAMS: [&str; 3] = ["one", "two", "three"];

fn app(name: &str, version: u32) -> String {
    format!(
        "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {{name: {name}, namespace: default}}\nspec: {{image: \"ghcr.io/acme/{name}:{version}\", executor: containerd-shim-spin, replicas: 1}}\n"
    )
}

/// Three teams with an app each, all at one version.
fn write_apps(repo: &Repo, version: u32) -> String {
    for team in TEAMS {
        repo.write(&format!("apps/{team}/app.yaml"), &app(&format!("app-{team}"), version));
    }
    repo.commit(&format!("version {version}"))
}

struct World {
    cluster: Cluster,
    repo: Repo,
    server: GitServer,
    _operator: StandIn,
}

impl World {
    fn new() -> Self {
        let cluster = Cluster::take();
        let repo = Repo::empty();
        repo.write("spinway.yaml", "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [platform, apps]\n  environments: [{name: test}]\n  tenants:\n    - {name: one, namespaces: [\"*\"], paths: [apps/one]}\n    - {name: two, namespaces: [\"*\"], paths: [apps/two]}\n    - {name: three, namespaces: [\"*\"], paths: [apps/three]}\n  approvals: {paths: [approvals]}\n");
        repo.write(
            "platform/executor.yaml",
            "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: containerd-shim-spin, namespace: default}\nspec: {createDeployment: true, deploymentConfig: {runtimeClassName: wasmtime-spin-v2}}\n",
        );
        write_apps(&repo, 1);
        let operator = StandIn::start(&cluster, Duration::from_millis(50));
        let server = GitServer::https(&repo);
        Self { cluster, repo, server, _operator: operator }
    }

    fn turn(&self) -> Value {
        let ran = crate::agent::turn(&self.cluster, &self.server, &[]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    }

    fn say(&self, arguments: &[&str]) -> String {
        let ran = self.cluster.spinway(arguments);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        format!("{}{}", stdout(&ran), stderr(&ran))
    }

    fn image(&self, team: &str) -> String {
        let path = format!("/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps/app-{team}");
        let image = self.cluster.get(&path).and_then(|app| app["spec"]["image"].as_str().map(str::to_owned));
        image.expect("an app").rsplit(':').next().unwrap_or_default().to_owned()
    }

    fn images(&self) -> [String; 3] {
        TEAMS.map(|team| self.image(team))
    }

    /// The objects that were written since the mark, but inventories, Leases and Events.
    fn written(&self) -> Vec<String> {
        let own = |object: &String| !["spinway-system/", "events "].iter().any(|part| object.contains(part));
        let mut objects: Vec<String> = self.cluster.writes().into_iter().map(|w| w.object).filter(own).collect();
        objects.retain(|object| object.contains("app-") && !object.starts_with("deployments"));
        objects.dedup();
        objects
    }
}

#[test]
fn a_rollback_touches_its_app_alone_and_holds_it_until_it_is_released() {
    let mut world = World::new();
    let first = world.repo.git(&["rev-parse", "HEAD"]);
    world.turn();
    write_apps(&world.repo, 2);
    world.turn();
    assert_eq!(world.images(), ["2", "2", "2"]);
    let history = world.say(&["history", "--tenant", "one"]);
    assert!(history.contains("done") && history.contains("1 update") && history.contains("version 2 (t)"), "{history}");
    world.cluster.mark();
    let told = world.say(&["rollback", "--app", "default/app-one", "--reason", "cart is slow"]);
    assert!(
        told.contains(&format!("Held at revision {}", &first[..12])) && told.contains("by administrator: cart is slow"),
        "{told}"
    );
    // The cache of a CronJob's pod is empty: the earlier revision is fetched.
    std::fs::remove_dir_all(world.server.secret.path().join("cache")).unwrap();
    let report = world.turn();
    assert_eq!(world.images(), ["1", "2", "2"]);
    assert_eq!(world.written(), ["spinapps default/app-one"]);
    assert!(row(&report, "SpinApp", "app-one")["because"].to_string().contains("Held at revision"), "{report:#}");

    // Others go on; this one is held, and every report says so.
    write_apps(&world.repo, 3);
    world.turn();
    assert_eq!(world.images(), ["1", "3", "3"]);
    let report = world.turn();
    assert!(row(&report, "SpinApp", "app-one")["because"].to_string().contains("Held at revision"), "{report:#}");
    // The command line holds it too.
    let ran = world.cluster.spinway(&["apply", world.repo.dir(), "--yes", "--ref", "main", "--take-inventory"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(world.images(), ["1", "3", "3"]);
    world.say(&["resume", "--app", "default/app-one"]);
    // The inventory belongs to the directory now; the agent takes it back.
    let ran = crate::agent::turn(&world.cluster, &world.server, &["--take-inventory"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert_eq!(world.images(), ["3", "3", "3"]);

    // A tenant, to a revision by the beginning of its id; and the whole environment.
    world.say(&["rollback", &first[..7], "--tenant", "two"]);
    world.turn();
    assert_eq!(world.images(), ["3", "1", "3"]);
    world.say(&["resume", "--tenant", "two"]);
    world.say(&["rollback", &first, "--all", "--until", "1h"]);
    world.turn();
    assert_eq!(world.images(), ["1", "1", "1"]);
}

#[test]
fn what_is_suspended_is_left_until_it_is_resumed_and_others_go_on() {
    let world = World::new();
    world.turn();
    for (part, expected) in [
        (["--app", "default/app-one"].as_slice(), ["1", "2", "2"]),
        (&["--tenant", "two"], ["3", "2", "3"]),
        (&["--all"], ["3", "3", "3"]),
    ] {
        world.say(&[&["suspend", "--until", "1h"], part].concat());
        let next = world.images().iter().map(|i| i.parse::<u32>().unwrap()).max().unwrap() + 1;
        write_apps(&world.repo, next);
        let report = world.turn();
        assert!(report["summary"]["held"].as_u64() > Some(0), "{report:#}");
        assert_eq!(world.images(), expected, "{part:?}");
        world.say(&[&["resume"], part].concat());
        world.turn();
    }
    assert_eq!(world.images(), ["4", "4", "4"]);
    // A stop that nobody can read stops its tenant, and only that.
    let parent = "/api/v1/namespaces/spinway-system/configmaps/spinway.t.test.one";
    world.cluster.edit(parent, "someone", &json!({"metadata": {"annotations": {"spinway.dev/stops": "[{"}}}));
    write_apps(&world.repo, 5);
    let report = world.turn();
    assert_eq!(world.images(), ["4", "5", "5"]);
    assert!(row(&report, "SpinApp", "app-one")["because"].to_string().contains("cannot be read"), "{report:#}");
}

#[test]
fn what_people_say_wrongly_is_told_and_changes_nothing() {
    let mut world = World::new();
    world.turn();
    world.cluster.mark();
    for (arguments, message) in [
        (["rollback", "--app", "default/nothing"].as_slice(), "no inventory knows an app `default/nothing`"),
        (&["rollback", "--tenant", "four"], "there is no tenant `four`; there are: one,"),
        (&["rollback", "--tenant", "one"], "has no earlier revision in its history"),
        (&["rollback", "abcdef", "--tenant", "one"], "revision `abcdef` is not in the history"),
        (&["rollback", "--tenant", "one", "--until", "2d"], "at most 24 hours"),
        (&["suspend", "--tenant", "one", "--until", "yesterday"], "neither a span"),
        (&["suspend", "--tenant", "one", "--until", "2020-01-01T00:00:00Z"], "is no time ahead"),
        (&["resume", "--tenant", "one"], "nothing stops it"),
        (&["suspend"], "required arguments"),
        (&["approve", "sha256:1"], "64 hexadecimal digits"),
        (&["history", "--env", "other"], "no inventory of such an environment"),
    ] {
        let ran = world.cluster.spinway(arguments);
        assert_eq!(code(&ran), 64, "{arguments:?} {}", Ran(&ran));
        assert!(stderr(&ran).contains(message), "{arguments:?} {}", Ran(&ran));
    }
    assert_eq!(world.cluster.writes().iter().filter(|w| w.verb == "patch").count(), 0);
}

#[test]
fn an_approval_in_each_of_the_three_ways_releases_exactly_what_was_held() {
    let mut world = World::new();
    TEAMS.iter().for_each(|team| world.repo.remove(&format!("apps/{team}/app.yaml")));
    let config_map = |n: usize| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}, namespace: default}}\ndata: {{k: v}}\n")
    };
    for n in 0..16 {
        world.repo.write(&format!("apps/{}/c{n}.yaml", TEAMS[n % 2]), &config_map(n));
    }
    world.repo.commit("all");
    let apply = |world: &World, more: &[&str]| {
        let mut arguments = vec!["apply", world.repo.dir(), "--yes", "-o", "json"];
        arguments.extend(more);
        let ran = world.cluster.spinway(&arguments);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        json(&ran)
    };
    apply(&world, &["--timeout", "20"]);
    let remove = |world: &World, numbers: &[usize]| {
        numbers.iter().for_each(|n| world.repo.remove(&format!("apps/{}/c{n}.yaml", TEAMS[n % 2])));
    };
    let deleted = |world: &World| {
        let writes = world.cluster.writes().into_iter().filter(|w| w.verb == "delete");
        let mut objects: Vec<String> = writes.map(|w| w.object.replace("configmaps default/", "")).collect();
        objects.sort();
        objects
    };
    // Four of one tenant are more than its budget; each time one way is used for exactly these.
    for (way, numbers) in [[0, 2, 4, 6], [1, 3, 5, 7], [8, 10, 12, 14]].iter().enumerate() {
        world.cluster.mark();
        remove(&world, numbers);
        let report = apply(&world, &[]);
        assert_eq!((report["summary"]["held"].as_u64(), deleted(&world)), (Some(4), vec![]), "way {way}: {report:#}");
        let digest = report["destruction"]["digest"].as_str().unwrap().to_owned();
        match way {
            0 => {
                apply(&world, &["--approve", &digest]);
            }
            1 => {
                world.say(&["approve", &digest]);
                apply(&world, &[]);
            }
            _ => {
                let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
                world.repo.write("approvals/a.yaml", &format!("apiVersion: spinway.dev/v1alpha1\nkind: Approval\nmetadata: {{name: a}}\nspec: {{environment: test, digest: \"{digest}\", expires: \"{expires}\", reason: spring}}\n"));
                apply(&world, &[]);
            }
        }
        let mut expected: Vec<String> = numbers.iter().map(|n| format!("c{n}")).collect();
        expected.sort();
        assert_eq!(deleted(&world), expected, "way {way}");
        // It is good for these alone: what is held next needs its own.
        remove(&world, &[9 + 2 * way]);
        let report = apply(&world, &[]);
        if report["summary"]["held"] != 0 {
            assert_ne!(report["destruction"]["digest"], digest.as_str());
        }
        world.repo.write(&format!("apps/{}/c{}.yaml", TEAMS[1], 9 + 2 * way), &config_map(9 + 2 * way));
        apply(&world, &[]);
    }
}

#[test]
fn an_app_that_does_not_become_healthy_comes_back_by_itself_where_it_asks_for_that() {
    let world = World::new();
    let asking = |version: &str| {
        let text = app("app-one", 1).replace(":1\"", &format!(":{version}\""));
        text.replace("namespace: default}", "namespace: default, annotations: {spinway.dev/on-failure: rollback}}")
    };
    let publish = |one: &str, two: u32| {
        world.repo.write("apps/one/app.yaml", &asking(one));
        world.repo.write("apps/two/app.yaml", &app("app-two", two));
        world.repo.commit(one)
    };
    let good = publish("1", 1);
    world.turn();
    publish("bad", 2);
    let ran = crate::agent::command(&world.cluster, &world.server, &["--once", "--timeout", "4"]).output().unwrap();
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let report = json(&ran);
    assert!(report["notices"].to_string().contains("app-one was brought back. Held at revision"), "{report:#}");
    assert!(report["notices"].to_string().contains(&good[..12]), "{report:#}");
    assert_eq!(world.images(), ["1", "2", "1"], "the other team's change is live");
    // The text that failed is not tried again; another text ends it.
    world.turn();
    assert_eq!(world.image("one"), "1");
    publish("3", 2);
    let report = world.turn();
    assert_eq!(world.images(), ["3", "2", "1"], "{report:#}");
}

#[test]
fn a_stuck_app_does_not_delay_another_teams_commit() {
    let world = World::new();
    world.turn();
    world.repo.write("apps/one/app.yaml", &app("app-one", 1).replace(":1\"", ":bad\""));
    world.repo.commit("stuck");
    let quick = |expected: &str| {
        let start = std::time::Instant::now();
        let ran = crate::agent::command(&world.cluster, &world.server, &["--once", "--timeout", "5"]).output().unwrap();
        assert_eq!((code(&ran), world.image("two").as_str()), (0, expected), "{}", Ran(&ran));
        assert!(start.elapsed() < Duration::from_secs(15));
    };
    quick("1");
    for version in 2..4 {
        world.repo.write("apps/two/app.yaml", &app("app-two", version));
        world.repo.commit("healthy");
        quick(&version.to_string());
    }
}

#[test]
fn a_new_commit_ends_the_waits_of_the_one_before() {
    let world = World::new();
    world.turn();
    // It would be waited for longer than this test lasts.
    let mut agent = crate::agent::command(&world.cluster, &world.server, &["--interval", "500ms", "--timeout", "3600"]);
    let mut agent = agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    world.repo.write("apps/one/app.yaml", &app("app-one", 1).replace(":1\"", ":bad\""));
    let stuck = world.repo.commit("stuck");
    world.cluster.wait("the stuck app", || world.image("one").as_str() == "bad");
    world.repo.write("apps/two/app.yaml", &app("app-two", 2));
    let newer = world.repo.commit("healthy");
    world.cluster.wait("the newer commit", || world.image("two").as_str() == "2");
    let history = || json(&world.cluster.spinway(&["history", "-o", "json"]));
    let result = |partition: &str, revision: &str| {
        let entries = history()[partition]["history"].as_array().cloned().unwrap_or_default();
        entries.iter().find(|entry| entry["revision"] == revision).map(|entry| entry["result"].clone())
    };
    assert_eq!(result("one", &stuck), Some(Value::from("overtaken")));
    world.cluster.wait("its record", || result("two", &newer) == Some(Value::from("done")));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(agent.id().cast_signed()), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
}

#[test]
fn each_role_for_people_writes_its_part_of_an_inventory_and_no_more() {
    let world = World::new();
    world.turn();
    let cluster = &world.cluster;
    let account = |role: &str| {
        let own = "/api/v1/namespaces/default/serviceaccounts";
        let named = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": role}});
        cluster.send("POST", own, "application/json", &named);
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("spinway.t.test.{role}")},
            "subjects": [{"kind": "ServiceAccount", "name": role, "namespace": "default"}]});
        let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/spinway-system/rolebindings";
        cluster.send("POST", bindings, "application/json", &binding);
        cluster.kubeconfig_of_account("default", role)
    };
    let [viewer, suspender, approver] = ["viewer", "suspender", "approver"].map(account);
    let patched = |kubeconfig: &std::path::Path, patch: &Value| {
        let mut kubectl = std::process::Command::new(cluster.kubectl());
        kubectl.args(["patch", "configmap", "spinway.t.test.one", "-n", "spinway-system", "--type", "merge", "-p"]);
        let ran = kubectl.arg(patch.to_string()).env("KUBECONFIG", kubeconfig).output().expect("kubectl runs");
        (ran.status.success(), stderr(&ran))
    };
    // It takes a moment to be in force; until then each write goes through, and the same once more would change nothing.
    let mut written = 0;
    cluster.wait("the policy to be in force", || {
        written += 1;
        let (done, text) = patched(&suspender, &json!({"data": {"x": written.to_string()}}));
        !done && text.contains("may update `inventories`")
    });
    let nobody = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "gone"}]);
    let parts = [
        json!({"metadata": {"labels": {"applyset.kubernetes.io/id": null}}}),
        json!({"metadata": {"annotations": {"applyset.kubernetes.io/tooling": "x"}}}),
        json!({"metadata": {"annotations": {"new": ""}}}),
        json!({"metadata": {"ownerReferences": nobody}}),
        json!({"metadata": {"finalizers": ["example.com/never"]}}),
        json!({"immutable": true}),
    ];
    // An empty one would stop everything.
    assert!(!patched(&approver, &json!({"metadata": {"annotations": {"spinway.dev/stops": ""}}})).0);
    for part in parts {
        assert!(!patched(&suspender, &part).0 && !patched(&approver, &part).0, "{part}");
    }
    let say = |kubeconfig: &std::path::Path, arguments: &[&str]| {
        let ran = cluster.command(arguments).env("KUBECONFIG", kubeconfig).output().expect("spinway runs");
        (code(&ran), stderr(&ran))
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    let (suspend, approve) = (["suspend", "--tenant", "one", "--until", "1h"], ["approve", digest.as_str()]);
    assert_eq!(say(&suspender, &suspend).0, 0, "{:?}", say(&suspender, &suspend));
    assert_eq!(say(&approver, &approve).0, 0, "{:?}", say(&approver, &approve));
    let refused = |kubeconfig: &std::path::Path, arguments: &[&str], message: &str| {
        let (code, text) = say(kubeconfig, arguments);
        assert!(code == 1 && text.contains(message), "{arguments:?}: {code} {text}");
    };
    let another = format!("sha256:{}", "b".repeat(64));
    refused(&suspender, &["approve", &another], "`inventories/approvals`");
    refused(&approver, &["resume", "--tenant", "one"], "`inventories/stops`");
    refused(&viewer, &suspend, "cannot patch");
    assert_eq!(say(&viewer, &["history"]).0, 0);
    assert_eq!(say(&suspender, &["resume", "--tenant", "one"]).0, 0);
    // The agent writes all of it, as before.
    write_apps(&world.repo, 2);
    assert_eq!(world.turn()["summary"]["update"], 3);
}
