//! A canary value in every place where secrets are: it appears in no output, log, snapshot or inventory.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{stderr, stdout};
use base64::Engine as _;
use serde_json::json;

const CANARY: &str = "c4n4ry-v4lue";

fn encoded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn no_secret_value_leaves_the_cluster_or_the_repository() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.write("platform/s.yaml", &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: default}}\ndata: {{a: {}}}\nstringData: {{b: {CANARY}-two}}\n", encoded(CANARY)));
    repo.write("platform/app.yaml", "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinAppExecutor\nmetadata: {name: e, namespace: default}\nspec: {createDeployment: true}\n---\n\
        apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: app, namespace: default}\nspec: {image: x, executor: e, replicas: 1, variables: [{name: level, value: info}]}\n");
    let _controller = crate::stand_in::StandIn::start(&cluster, std::time::Duration::from_millis(20));
    let mut outputs = Vec::new();
    let mut run = |arguments: &[&str]| {
        let ran = cluster.command(arguments).env("SPINWAY_LOG", "trace").output().expect("spinway runs");
        outputs.push((arguments.join(" "), format!("{}{}", stdout(&ran), stderr(&ran))));
    };
    let dir = repo.dir().to_owned();
    run(&["apply", &dir, "--yes", "--timeout", "1", "-o", "json"]);
    // Values that are only in the cluster: an edited Secret, kubectl's copy of it, a variable of an app.
    let secret = "/api/v1/namespaces/default/secrets/s";
    cluster.edit(secret, "kubectl-edit", &json!({"data": {"a": encoded(&format!("{CANARY}-three"))}, "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{CANARY}\"}}")}}}));
    let app = "/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps/app";
    cluster.edit(app, "kubectl-edit", &json!({"spec": {"variables": [{"name": "level", "value": CANARY}]}}));
    // The operator copies the variable into the environment of the Deployment.
    let deployment = "/apis/apps/v1/namespaces/default/deployments/app";
    let start = std::time::Instant::now();
    cluster.edit(app, "kubectl-edit", &json!({"spec": {"image": "other"}}));
    while !cluster.get(deployment).is_some_and(|d| d.to_string().contains(CANARY)) {
        assert!(start.elapsed().as_secs() < 30, "the stand-in copies variables");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let file = repo.file("snapshot.json").display().to_string();
    run(&["snapshot", &dir, "-o", &file]);
    for format in ["text", "json", "yaml", "markdown"] {
        run(&["plan", &dir, "-o", format, "-v"]);
        run(&["drift", &dir, "-o", format, "-v"]);
        run(&["status", &dir, "-o", format, "-v"]);
        run(&["plan", &dir, "--snapshot", &file, "-o", format, "-v"]);
    }
    run(&["render", &dir]);
    run(&["render", &dir, "-o", "json"]);
    run(&["graph", &dir]);
    // The API server repeats an ill-typed value in its message.
    repo.write(
        "platform/s.yaml",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: default}}\ndata: {{a: {{x: {CANARY}}}}}\n"
        ),
    );
    run(&["plan", &dir, "-o", "json"]);
    run(&["apply", &dir, "--yes", "--timeout", "1"]);
    repo.write(
        "platform/t.yaml",
        &format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: t, namespace: default}}\ndata: {{a: [{CANARY}]}}\n"),
    );
    run(&["apply", &dir, "--yes", "--timeout", "1", "-o", "jsonl"]);
    outputs.push(("the snapshot file".to_owned(), std::fs::read_to_string(&file).expect("the snapshot")));
    let inventory = cluster.get("/api/v1/namespaces/spinway-system/configmaps").expect("the inventory");
    for map in inventory["items"].as_array().expect("items") {
        if let Some(state) = map["binaryData"]["state"].as_str() {
            let bytes = base64::engine::general_purpose::STANDARD.decode(state).expect("base64");
            let mut text = String::new();
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text)
                .expect("gzip");
            outputs.push(("the inventory".to_owned(), text));
        }
    }
    let live = cluster.get(secret).expect("s")["metadata"]["annotations"]["spinway.dev/applied"].to_string();
    outputs.push(("the annotation".to_owned(), live));
    for (place, text) in &outputs {
        // The words of an encoded value do not depend on what follows them.
        for needle in [CANARY, &encoded(CANARY)[..12]] {
            if let Some(at) = text.find(needle) {
                panic!(
                    "a secret value is in the output of {place}: ...{}",
                    &text[at.saturating_sub(300)..(at + 80).min(text.len())]
                );
            }
        }
    }
    assert!(outputs.iter().any(|(_, text)| text.contains("(secret 1)")), "secrets are numbered");
}
