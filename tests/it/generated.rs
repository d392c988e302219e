//! Files of the repository that are made by the program: each test compares, and writes with `SPINWAY_REGENERATE=1`.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, stdout};
use crate::stand_in::StandIn;
use serde_json::json;
use spinway::check::{CHECKS, index};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn regenerates() -> bool {
    std::env::var_os("SPINWAY_REGENERATE").is_some()
}

/// Compares a text with a file of the repository, or writes it.
fn check(path: &str, made: &str) {
    let path = root().join(path);
    if regenerates() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(&path, made).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is not current: SPINWAY_REGENERATE=1 cargo test generated\n--- made\n{made}",
        path.display()
    );
}

/// README's first command, in the folder of the repository.
fn readme_plan(more: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
    command
        .current_dir(root())
        .args(["plan", "fixtures/shop/repo", "--env", "staging", "--snapshot", "fixtures/shop/snapshot.json"])
        .args(more);
    command.env_remove("KUBECONFIG").output().expect("spinway runs")
}

/// Records the snapshot of a cluster in which everything differs that can. Its uids and times are new each time, so it
/// is only made on demand: `SPINWAY_RECORD=1 cargo test snapshot_of_the_shop`, then regenerate the rest.
#[test]
fn the_snapshot_of_the_shop_can_be_recorded() {
    if std::env::var_os("SPINWAY_RECORD").is_none() {
        return;
    }
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    let old = Repo::shop();
    old.git(&["init", "-q"]);
    old.git(&["remote", "add", "origin", "https://git.example/acme/shop.git"]);
    old.remove("apps/accounts/profile.yaml");
    old.edit("apps/checkout/pay.yaml", "pay:2.1.0@sha256:23f5c2", "pay:2.0.0@sha256:81d0aa");
    old.edit("apps/checkout/cart.yaml", "Welcome\n", "Hello\n");
    old.edit(
        "platform/namespaces.yaml",
        "metadata: {name: certs}\n",
        "metadata: {name: certs}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: legacy}\n",
    );
    old.write(
        "apps/catalog/old.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old-prices, namespace: catalog}\ndata: {a: \"1\"}\n",
    );
    cluster.send("POST", "/apis/node.k8s.io/v1/runtimeclasses", "application/json", &json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "wasmtime-spin-v2"}, "handler": "spin"}));
    // RuntimeClass is adopted by the plan of today; the old repository leaves it alone.
    old.edit(
        "platform/executors.yaml",
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: wasmtime-spin-v2}\nhandler: spin\n",
        "",
    );
    old.remove("environments/staging/banner.yaml");
    let ran = cluster.spinway(&["apply", old.dir(), "--env", "staging", "--yes", "--timeout", "60"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    cluster.apply_as("/api/v1/namespaces/infra/configmaps/environment", "helm", &json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "environment", "namespace": "infra", "annotations": {"meta.helm.sh/release-name": "legacy"}}, "data": {"domain": "old.example"}}));
    let route = "/apis/gateway.networking.k8s.io/v1/namespaces/checkout/httproutes/cart";
    let mut rules = cluster.get(route).expect("the route")["spec"]["rules"].clone();
    rules[0]["backendRefs"][0]["weight"] = json!(50);
    rules[0]["backendRefs"][1]["weight"] = json!(50);
    cluster.edit(route, "kubectl-edit", &json!({"spec": {"rules": rules}}));
    std::thread::sleep(Duration::from_millis(500));
    let file = root().join("fixtures/shop/snapshot.json");
    // As an agent takes it: values that are applied are those of the repository.
    let today = Repo::shop();
    today.edit("apps/checkout/cart.yaml", "Welcome\n", "Hello\n");
    let ran =
        cluster.spinway(&["snapshot", today.dir(), "--env", "staging", "-o", file.to_str().expect("a plain path")]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    // Always too old, so that what is printed of its age stays the same.
    let text = std::fs::read_to_string(&file).expect("the snapshot");
    let mut text: Vec<&str> = text.lines().collect();
    text[0] = r#"{"schema":"spinway.dev/snapshot/v1","time":"2026-11-01T08:00:00Z","#;
    std::fs::write(&file, format!("{}\n", text.join("\n"))).expect("the snapshot can be written");
}

#[test]
fn the_plan_of_the_shop_is_as_it_was_looked_at() {
    let ran = readme_plan(&[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    check("fixtures/shop/expect/plan.txt", &stdout(&ran));
    let markdown = readme_plan(&["-o", "markdown"]);
    check("fixtures/shop/expect/plan.md", &stdout(&markdown));
}

#[test]
fn the_apps_of_the_fixtures_expand_as_they_were_looked_at() {
    for (fixture, environment) in
        [("shop", "staging"), ("shop", "production"), ("covering", "test"), ("covering", "live")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
        let ran = command
            .current_dir(root())
            .args(["render", &format!("fixtures/{fixture}/repo"), "--env", environment, "--explain"])
            .output()
            .expect("spinway runs");
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        check(&format!("fixtures/{fixture}/expect/{environment}.yaml"), &stdout(&ran));
    }
}

/// `spinway check` of a fixture.
fn checked(fixture: &str, format: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
    command.current_dir(root()).args(["check", &format!("fixtures/{fixture}/repo"), "-o", format]);
    command.env("NO_COLOR", "1").output().expect("spinway runs")
}

#[test]
fn what_is_found_in_the_fixtures_is_as_it_was_looked_at_in_every_format() {
    let formats = [
        ("text", "txt"),
        ("json", "json"),
        ("markdown", "md"),
        ("sarif", "sarif"),
        ("junit", "xml"),
        ("github", "github"),
    ];
    for (fixture, expected) in [("plain", 0), ("tenants", 0), ("violations", 1)] {
        for (format, extension) in formats {
            let ran = checked(fixture, format);
            assert_eq!(code(&ran), expected, "{fixture} {format}: {}", Ran(&ran));
            check(&format!("fixtures/{fixture}/expect/check.{extension}"), &stdout(&ran));
        }
    }
    let found = stdout(&checked("violations", "github"));
    let missing: Vec<&str> =
        CHECKS.iter().map(|c| c.id).filter(|id| !found.contains(&format!("title={id}::"))).collect();
    assert!(missing.is_empty(), "not violated: {missing:?}");
}

/// The folder of a crate of which only files are read.
fn crate_dir(name: &str) -> PathBuf {
    // Without a platform it would ask for the crates of all of them.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata");
    let of = metadata["packages"].as_array().expect("packages").iter().find(|package| package["name"] == name);
    let manifest = of.and_then(|package| package["manifest_path"].as_str()).expect("the crate");
    Path::new(manifest).parent().expect("its folder").to_owned()
}

#[test]
fn the_sarif_of_the_fixtures_is_valid() {
    // The schema of OASIS, as a crate has it.
    let schema = std::fs::read_to_string(crate_dir("serde-sarif").join("src/schema.json")).expect("the schema");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(!validator.is_valid(&json!({"version": "2.1.0"})), "the schema says nothing");
    for fixture in ["plain", "tenants", "violations"] {
        let sarif: serde_json::Value = serde_json::from_str(&stdout(&checked(fixture, "sarif"))).expect("JSON");
        let wrong: Vec<String> = validator.iter_errors(&sarif).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{fixture}: {wrong:#?}");
    }
}

#[test]
fn each_check_has_its_page() {
    let pages = CHECKS.iter().map(|check| (format!("{}.md", check.id), check.page()));
    let pages: BTreeMap<String, String> = pages.chain([("README.md".to_owned(), index())]).collect();
    pages.iter().for_each(|(name, page)| check(&format!("docs/checks/{name}"), page));
    let kept = std::fs::read_dir(root().join("docs/checks")).expect("the folder").flatten();
    let kept: BTreeSet<String> = kept.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(kept, pages.keys().cloned().collect(), "a page of no check");
}

#[test]
fn the_picture_in_the_readme_is_the_output() {
    let plan = stdout(
        &Command::new(env!("CARGO_BIN_EXE_spinway"))
            .current_dir(root())
            .args(["plan", "fixtures/shop/repo", "--env", "staging", "--snapshot", "fixtures/shop/snapshot.json", "-q"])
            .env("CLICOLOR_FORCE", "1")
            .output()
            .expect("spinway runs"),
    );
    let shown = format!("$ spinway plan --env staging\n{plan}");
    check("docs/plan.svg", &anstyle_svg::Term::new().render_svg(&shown));
}

#[test]
fn the_reference_of_the_command_line_is_current() {
    check("docs/reference/cli.md", &spinway::cli::reference());
}

#[test]
fn the_schema_of_reports_is_current_and_names_every_field() {
    let schema = spinway::report::json_schema();
    check("docs/reference/report.schema.json", &format!("{schema:#}\n"));
    let report = crate::run::json(&readme_plan(&["-o", "json"]));
    for field in report.as_object().expect("an object").keys() {
        assert!(schema["properties"].get(field).is_some(), "{field} is not in the schema");
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let main = std::fs::read_to_string(root().join("tests/it/main.rs")).expect("main.rs");
    for entry in std::fs::read_dir(root().join("tests/it")).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let module = Path::new(&name).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name} is not in main.rs");
    }
}
