//! Few agents for many environments and clusters: each member falls to one of them, with a Lease of its own.

use crate::agent::config_map;
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::repo::Repo;
use crate::run::{Ran, code, stdout};
use serde_json::{Value, json};
use std::fs;
use std::process::{Output, Stdio};

const ENVIRONMENTS: [&str; 4] = ["e0", "e1", "e2", "e3"];

fn repository() -> Repo {
    let repo = Repo::empty();
    let environments = ENVIRONMENTS.map(|name| format!("{{name: {name}, sources: [environments/{name}]}}"));
    repo.write(
        "spinway.yaml",
        &format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: t}}\nspec:\n  environments: [{}]\n",
            environments.join(", ")
        ),
    );
    for name in ENVIRONMENTS {
        repo.write(&format!("environments/{name}/map.yaml"), &config_map(name, "v1"));
    }
    repo.commit("first");
    repo
}

fn maps(cluster: &Cluster) -> Vec<String> {
    let list = cluster.get("/api/v1/namespaces/default/configmaps").expect("a list");
    let names = list["items"].as_array().expect("items").iter().filter_map(|map| map["metadata"]["name"].as_str());
    names.filter(|name| ENVIRONMENTS.contains(name)).map(str::to_owned).collect()
}

#[test]
fn each_member_falls_to_one_agent_and_a_cluster_that_is_away_holds_up_no_other() {
    let mut cluster = Cluster::take();
    let repo = repository();
    let server = GitServer::https(&repo);
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(cluster.kubeconfig()).unwrap();
    let port = text.split("https://127.0.0.1:").nth(1).expect("an address");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let (own, away) = (cluster.kubeconfig(), folder.path().join("away"));
    fs::write(&away, text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:1")).unwrap();
    let members = ENVIRONMENTS.map(|name| (name, name, &own)).into_iter().chain([("away", "e0", &away)]);
    let member = |(name, env, kubeconfig)| json!({"name": name, "env": env, "kubeconfig": kubeconfig});
    let list: Vec<Value> = members.map(member).collect();
    let fleet = folder.path().join("fleet.yaml");
    fs::write(&fleet, json!({"members": list}).to_string()).unwrap();
    let reports = format!("json={}/{{member}}.json", folder.path().display());
    let options = server.options();
    let run = |cluster: &Cluster| -> Vec<Output> {
        let shards = ["0/2", "1/2"].map(|shard| {
            let mut arguments = vec!["agent", "--once", "--fleet", fleet.to_str().unwrap()];
            arguments.extend(["--shard", shard, "-o", &reports]);
            arguments.extend(options.iter().map(String::as_str));
            let mut command = cluster.command(&arguments);
            command.env_remove("KUBECONFIG").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        shards.into_iter().map(|shard| shard.wait_with_output().unwrap()).collect()
    };
    let ran = run(&cluster);
    let said: String = ran.iter().map(stdout).collect();
    let mut names: Vec<&str> = said.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["away", "e0", "e1", "e2", "e3"], "{said}");
    for ran in &ran {
        let said = stdout(ran);
        assert!(said.lines().count() > 0, "it has nothing to do: {}", Ran(ran));
        assert_eq!(code(ran), i32::from(said.contains("away")), "{}", Ran(ran));
        assert!(said.lines().all(|line| line.starts_with("away") || line.ends_with("done")), "{}", Ran(ran));
    }
    assert_eq!(maps(&cluster), ENVIRONMENTS);
    for name in ENVIRONMENTS {
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/spinway-system/leases/spinway.t.{name}");
        assert!(cluster.get(&lease).is_some(), "{name} has a lease of its own");
    }
    let report: Value = serde_json::from_slice(&fs::read(folder.path().join("e1.json")).unwrap()).unwrap();
    assert_eq!((&report["environment"], &report["summary"]["create"]), (&json!("e1"), &json!(1)));
    // The same again writes nothing.
    cluster.mark();
    run(&cluster);
    assert_eq!(cluster.writes().len(), 0, "{:?}", cluster.writes());
}

#[test]
fn a_fleet_ends_when_it_is_asked_to_whatever_its_clusters_do() {
    let cluster = Cluster::take();
    let repo = repository();
    let server = GitServer::https(&repo);
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(cluster.kubeconfig()).unwrap();
    let port: String = text.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    let kubeconfig = folder.path().join("deaf");
    fs::write(&kubeconfig, text.replace(&format!("127.0.0.1:{port}"), &deaf.local_addr().unwrap().to_string()))
        .unwrap();
    let mut list = vec![json!({"name": "quick", "env": "e0", "kubeconfig": cluster.kubeconfig()})];
    list.extend((0..6).map(|n| json!({"name": format!("deaf-{n}"), "env": "e1", "kubeconfig": kubeconfig})));
    let fleet = folder.path().join("fleet.yaml");
    fs::write(&fleet, json!({"members": list}).to_string()).unwrap();
    let mut arguments = vec!["agent", "--once", "--fleet", fleet.to_str().unwrap()];
    let options = server.options();
    arguments.extend(options.iter().map(String::as_str));
    let mut command = cluster.command(&arguments);
    let agent = command.env_remove("KUBECONFIG").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    cluster.wait("the quick one", || maps(&cluster) == ["e0"]);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(agent.id().cast_signed()), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
    let ran = agent.wait_with_output().unwrap();
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let said = stdout(&ran);
    let deaf: Vec<&str> = said.lines().filter(|line| line.starts_with("deaf")).collect();
    assert!(deaf.len() == 6 && deaf.iter().all(|line| line.ends_with("interrupted")), "{}", Ran(&ran));
    // What stands for an environment cannot stand for two clusters.
    let more = ["--snapshot-branch", "live", "--snapshot-secret", "."];
    let ran = cluster.command(&[&arguments[..], &more].concat()).env_remove("KUBECONFIG").output().unwrap();
    assert!(code(&ran) == 64 && crate::run::stderr(&ran).contains("environment `e1`"), "{}", Ran(&ran));
}

#[test]
fn the_job_of_a_fleet_and_the_identity_in_its_clusters_are_accepted() {
    let cluster = Cluster::take();
    let repo = repository();
    let fleet = repo.file("fleet.yaml");
    fs::write(&fleet, "members: [{name: a, env: e0, kubeconfig: /clusters/a}]\n").unwrap();
    let install = |more: &[&str]| {
        let ran = cluster.spinway(&[&["install", repo.dir(), "--env", "e0"], more].concat());
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        stdout(&ran)
    };
    let hub =
        install(&["--url", "https://git.example/acme/shop.git", "--fleet", fleet.to_str().unwrap(), "--shards", "8"]);
    assert!(!hub.contains("ClusterRole"), "it may do nothing in its own cluster: {hub}");
    let member = install(&["--identity"]);
    assert!(member.contains("ServiceAccount") && member.contains("ClusterRoleBinding") && !member.contains("CronJob"));
    for (name, text) in [("hub", &hub), ("member", &member)] {
        let file = repo.file(&format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        let mut kubectl = std::process::Command::new(cluster.kubectl());
        kubectl.args(["apply", "--server-side", "-f", file.to_str().unwrap()]).env("KUBECONFIG", cluster.kubeconfig());
        let ran = kubectl.output().unwrap();
        assert_eq!(code(&ran), 0, "{name}: {}", Ran(&ran));
    }
    let job = cluster.get("/apis/batch/v1/namespaces/spinway-system/cronjobs/spinway.t.fleet.e0").expect("the CronJob");
    let spec = &job["spec"]["jobTemplate"]["spec"];
    assert_eq!((&spec["completionMode"], &spec["completions"]), (&json!("Indexed"), &json!(8)));
    let arguments = spec["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(arguments.contains("--shard=$(JOB_COMPLETION_INDEX)/8") && !arguments.contains("--env"), "{arguments}");
    // Names that would share files are refused.
    fs::write(&fleet, "members: [{name: a}, {name: a}]\n").unwrap();
    let ran = cluster.spinway(&[
        "install",
        repo.dir(),
        "--env",
        "e0",
        "--url",
        "https://x/y",
        "--fleet",
        fleet.to_str().unwrap(),
    ]);
    assert!(code(&ran) == 1 && crate::run::stderr(&ran).contains("two members `a`"), "{}", Ran(&ran));
}
