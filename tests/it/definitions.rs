//! Changes of definitions that lose something are held or blocked, and say what is lost.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, row};
use serde_json::{Value, json};

fn definition(versions: &str, annotations: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: cogs.example.com, annotations: {{{annotations}}}}}\nspec:\n  group: example.com\n  names: {{kind: Cog, plural: cogs}}\n  scope: Namespaced\n  versions:\n{versions}"
    )
}

fn version(name: &str, served: bool, storage: bool, fields: &str) -> String {
    format!(
        "  - {{name: {name}, served: {served}, storage: {storage}, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{{fields}}}}}}}}}}}}}\n"
    )
}

fn plan(cluster: &Cluster, repo: &Repo) -> Value {
    let ran = cluster.spinway(&["plan", repo.dir(), "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    json(&ran)
}

#[test]
fn a_definition_that_loses_something_waits_and_says_what() {
    let cluster = Cluster::take();
    let repo = Repo::with_config();
    repo.allow("Cog.example.com");
    let both = "a: {type: string}, b: {type: string}";
    let bundle = "gateway.networking.k8s.io/bundle-version: v1.6.3";
    repo.write("platform/crd.yaml", &definition(&version("v1", true, true, both), bundle));
    repo.write(
        "apps/one/cog.yaml",
        "apiVersion: example.com/v1\nkind: Cog\nmetadata: {name: c, namespace: default}\nspec: {a: x, b: z}\n",
    );
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "--timeout", "20"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    repo.write(
        "apps/one/cog.yaml",
        "apiVersion: example.com/v1\nkind: Cog\nmetadata: {name: c, namespace: default}\nspec: {a: x}\n",
    );
    for (text, action, reason) in [
        (
            definition(&version("v1", true, true, "a: {type: string}"), bundle),
            "held",
            "uses spec.b, which the new definition does not have",
        ),
        (definition(&version("v2", true, true, both), bundle), "blocked", "storedVersions"),
        (
            definition(&format!("{}{}", version("v1", false, false, both), version("v2", true, true, both)), bundle),
            "held",
            "is written as v1, which is no longer served",
        ),
        (
            definition(&version("v1", true, true, both), &bundle.replace("6.3", "5.0")),
            "held",
            "The bundle goes back from v1.6.3 to v1.5.0",
        ),
        (
            definition(&format!("{}{}", version("v1", true, true, both), version("v2", true, false, both)), bundle),
            "update",
            "",
        ),
    ] {
        repo.write("platform/crd.yaml", &text);
        let report = plan(&cluster, &repo);
        let change = row(&report, "CustomResourceDefinition", "cogs.example.com");
        assert_eq!(change["action"], action, "{text}\n{report:#}");
        assert!(change["because"].to_string().contains(reason), "{reason}: {change:#}");
        if action == "held" {
            assert_eq!(report["destruction"]["objects"][0]["action"], json!("change"));
        }
    }
}
