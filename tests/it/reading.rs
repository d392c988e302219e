//! Hostile and foreign files, from a directory and from a Git revision: a diagnostic each, never a panic.

use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr, stdout};

fn hostile() -> Repo {
    let repo = Repo::with_config();
    repo.write("platform/good.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good, namespace: default}\n");
    repo.write("platform/twin.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good, namespace: default}\n");
    std::os::unix::fs::symlink("/etc/passwd", repo.file("platform/link.yaml")).expect("a link");
    std::fs::write(repo.file("platform/latin.yaml"), b"a: \xe9\n").expect("a file");
    std::fs::write(repo.file("platform/huge.yaml"), vec![b'#'; 9 << 20]).expect("a file");
    repo.write("platform/deep.yaml", &format!("a: {}{}", "[".repeat(400), "]".repeat(400)));
    repo.write("platform/broken.yaml", "a: [1\n");
    repo.write(
        "platform/keys.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k, namespace: default}\ndata: {a: \"1\", a: \"2\"}\n",
    );
    repo.write("platform/notes.yaml", "hello: world\n");
    repo.write("platform/overlay/kustomization.yaml", "resources: [a.yaml]\n");
    repo.write("platform/chart/Chart.yaml", "apiVersion: v2\nname: c\n");
    repo.write("platform/list.json", "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"listed\", \"namespace\": \"default\"}}]}");
    repo.write("platform/nowhere.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lost}\n");
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..10 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", [format!("*a{}", n - 1).as_str(); 10].join(",")));
    }
    repo.write("platform/bomb.yaml", &bomb);
    repo
}

const EXPECTED: [(&str, &str); 13] = [
    ("file-symlink", "platform/link.yaml:1:1"),
    ("file-encoding", "platform/latin.yaml:1:1"),
    ("file-size", "platform/huge.yaml:1:1"),
    ("yaml-syntax", "platform/broken.yaml:"),
    ("yaml-depth", "platform/deep.yaml:"),
    ("yaml-duplicate-key", "platform/keys.yaml:4:16"),
    ("file-no-object", "platform/notes.yaml:1:1"),
    ("file-kustomization", "platform/overlay/kustomization.yaml:1:1"),
    ("file-helm", "platform/chart/Chart.yaml:1:1"),
    ("object-namespace", "platform/nowhere.yaml:3:1"),
    ("duplicate-object", "platform/twin.yaml:1:1"),
    ("duplicate-object", "platform/good.yaml:1:1"),
    ("yaml-alias", "platform/bomb.yaml:"),
];

#[test]
fn every_hostile_file_gets_a_diagnostic_with_its_place() {
    let repo = hostile();
    repo.commit("hostile");
    for reference in [&[][..], &["--ref", "HEAD"][..]] {
        let mut arguments = vec!["render", repo.dir(), "-o", "json"];
        arguments.extend(reference);
        let ran = run(&arguments);
        assert_eq!(code(&ran), 1, "{}", Ran(&ran));
        let said = stderr(&ran);
        for (id, place) in EXPECTED {
            assert!(said.contains(&format!("[{id}]")) && said.contains(place), "{id} at {place} is not in {said}");
        }
        assert!(said.contains("Render it first") || said.contains("Render it"), "{said}");
        let objects = json(&ran);
        assert!(objects.to_string().contains("listed"));
        // A link is never followed.
        assert!(!said.contains("root:") && !objects.to_string().contains("root:"));
    }
}

#[test]
fn without_config_what_is_not_kubernetes_is_a_note() {
    let repo = Repo::empty();
    repo.write("notes.yaml", "hello: world\n");
    repo.write("pages/index.yaml", "title: {{ title }}\n");
    repo.write(".circleci/config.yml", "version: 2.1\n");
    std::os::unix::fs::symlink("pages", repo.file("docs")).expect("a link");
    repo.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n");
    let ran = run(&["render", repo.dir()]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    for id in ["file-no-object", "file-template", "file-symlink"] {
        assert!(stderr(&ran).contains(&format!("note[{id}]")), "{id}: {}", Ran(&ran));
    }
    assert!(!stderr(&ran).contains(".circleci"), "{}", Ran(&ran));
}

#[test]
fn usage_and_config_errors_say_what_to_do() {
    let repo = Repo::shop();
    let ran = run(&["plan", repo.dir(), "--snapshot", "none.json"]);
    assert_eq!(code(&ran), 64, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("staging, production"), "{}", Ran(&ran));
    assert_eq!(code(&run(&["plan", repo.dir(), "--env", "none"])), 64);
    assert_eq!(code(&run(&["plan", "/does/not/exist"])), 1);
    assert_eq!(code(&run(&["frobnicate"])), 64);
    assert_eq!(code(&run(&["--help"])), 0);
    repo.edit("spinway.yaml", "protected: true", "protectd: true");
    let ran = run(&["plan", repo.dir(), "--env", "staging"]);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    assert!(stderr(&ran).contains("protectd") && stderr(&ran).contains("spinway.yaml:"), "{}", Ran(&ran));
}

#[test]
fn a_plan_against_another_revision_needs_no_cluster() {
    let repo = Repo::shop();
    repo.commit("first");
    repo.edit("apps/checkout/pay.yaml", "pay:2.1.0", "pay:2.2.0");
    repo.remove("apps/accounts/profile.yaml");
    repo.commit("second");
    let ran = run(&["plan", repo.dir(), "--env", "staging", "--ref", "HEAD", "--against", "HEAD~1", "-o", "json"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let report = json(&ran);
    assert_eq!(
        // So many deletions of one team wait for approval.
        (&report["summary"]["update"], &report["summary"]["held"], &report["summary"]["create"]),
        (&1.into(), &4.into(), &0.into()),
        "{report:#}"
    );
    assert_eq!(report["revision"]["subject"], "second");
    let pay = crate::run::row(&report, "SpinApp", "pay-23f5c2");
    assert_eq!(
        (pay["fields"][0]["path"].as_str(), pay["fields"].as_array().map(Vec::len)),
        (Some("spec.image"), Some(1))
    );
}

#[test]
fn help_names_the_formats_that_a_verb_has() {
    let repo = Repo::shop();
    let snapshot = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/shop/snapshot.json");
    let all = ["text", "json", "jsonl", "yaml", "markdown", "dot", "mermaid", "sarif", "junit", "github"];
    for (verb, more) in [("graph", &[][..]), ("check", &[]), ("plan", &["--snapshot", snapshot])] {
        let help = stdout(&run(&[verb, "--help"]));
        let (_, output) = help.split_once("--output <FORMAT[=FILE]>").expect("the option");
        let listed = output.split(['[', ']']).nth(1).expect("a list in brackets");
        let mut accepted = 0;
        for format in all {
            let ran = run(&[&[verb, repo.dir(), "--env", "staging", "-o", format], more].concat());
            let is_accepted = code(&ran) != 64;
            let is_named = listed.split(|c: char| !c.is_alphanumeric()).any(|word| word == format);
            assert_eq!(is_named, is_accepted, "{verb} -o {format}: {}\n{help}", Ran(&ran));
            accepted += usize::from(is_accepted);
        }
        assert!((1..all.len()).contains(&accepted), "{verb} has some of the formats");
    }
}
