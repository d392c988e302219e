//! `spinway new`: from an empty folder to a cluster, and what it refuses.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, run, stderr, stdout};
use crate::stand_in::StandIn;
use crate::tour::install_classes;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Runs `spinway new` with words and the folder of a repository at their end.
fn new(repo: &Repo, words: &str) -> Output {
    let mut arguments = vec!["new"];
    arguments.extend(words.split(' '));
    arguments.push(repo.dir());
    run(&arguments)
}

/// The same, which must succeed.
fn made(repo: &Repo, words: &str) -> String {
    let ran = new(repo, words);
    assert_eq!(code(&ran), 0, "{words}: {}", Ran(&ran));
    stdout(&ran)
}

/// A repository of `spinway new` with a Gateway and two tenants.
fn shop() -> Repo {
    let repo = Repo::empty();
    made(&repo, "repository --name shop --domain shop.example");
    made(&repo, "gateway public");
    made(&repo, "tenant checkout --image ghcr.io/acme/checkout/*");
    made(&repo, "tenant catalog");
    repo
}

fn image(team: &str, app: &str, digit: char) -> String {
    format!("ghcr.io/acme/{team}/{app}:1.0.0@sha256:{}", digit.to_string().repeat(64))
}

/// All files of a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).expect("a file"));
        }
    }
    found
}

/// Runs what must write nothing; gives its answer.
fn refused(repo: &Repo, words: &str, expected: i32) -> String {
    let before = files(repo.path());
    let ran = new(repo, words);
    assert_eq!(code(&ran), expected, "{words}: {}", Ran(&ran));
    assert_eq!(files(repo.path()), before, "{words} wrote something");
    stderr(&ran)
}

#[test]
fn from_an_empty_folder_to_a_cluster_that_is_as_the_repository_says() {
    let mut cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(30));
    install_classes(&cluster);
    let repo = shop();
    repo.commit("the platform");
    let said = made(
        &repo,
        &format!("app cart --namespace checkout --gateway infra/public --image {}", image("checkout", "cart", 'a')),
    );
    assert!(said.starts_with("wrote apps/checkout/cart.yaml\n") && said.contains("\n  spinway check /"), "{said}");
    made(
        &repo,
        &format!("app search --namespace catalog --gateway infra/public --image {}", image("catalog", "search", 'b')),
    );
    let checked = run(&["check", repo.dir()]);
    assert!(code(&checked) == 0 && stdout(&checked).contains("0 errors, 0 warnings"), "{}", Ran(&checked));
    for environment in ["staging", "production"] {
        let planned = run(&["plan", repo.dir(), "--env", environment, "--against", "HEAD"]);
        assert!(code(&planned) == 0 && stdout(&planned).contains("6 to create"), "{}", Ran(&planned));
    }
    let ran = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes", "--timeout", "60"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let route =
        cluster.get("/apis/gateway.networking.k8s.io/v1/namespaces/checkout/httproutes/cart").expect("the route");
    assert_eq!(route["spec"]["hostnames"], json!(["staging.shop.example"]));
    assert_eq!(route["spec"]["rules"][0]["matches"][0]["path"]["value"], "/checkout/cart");
    assert_eq!(route["status"]["parents"][0]["conditions"][0]["status"], "True", "{route:#}");
    cluster.mark();
    let again = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes"]);
    assert_eq!(code(&again), 0, "{}", Ran(&again));
    assert!(cluster.writes().is_empty(), "{:#?}", cluster.writes());
    // The snapshot of it plans offline to nothing.
    let file = repo.file("snapshot.json").display().to_string();
    let ran = cluster.spinway(&["snapshot", repo.dir(), "--env", "staging", "-o", &file]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let planned = run(&["plan", repo.dir(), "--env", "staging", "--snapshot", &file, "--exit-code"]);
    assert_eq!(code(&planned), 0, "{}", Ran(&planned));
}

#[test]
fn nothing_is_written_over() {
    let repo = shop();
    let cart = format!("app cart --namespace checkout --image {}", image("checkout", "cart", 'a'));
    made(&repo, &cart);
    repo.edit("apps/checkout/cart.yaml", "name: cart", "name: basket");
    for (words, file) in [
        (cart.as_str(), "apps/checkout/cart.yaml is there already"),
        ("gateway public", "platform/gateway-public.yaml is there already"),
        ("repository --name shop --domain shop.example", "spinway.yaml is there already"),
    ] {
        let said = refused(&repo, words, 1);
        assert!(said.contains(file) && said.contains("Nothing was written"), "{said}");
    }
    // Below a repository there is no other.
    let below = repo.file("apps/checkout").display().to_string();
    let ran = run(&["new", "repository", &below, "--domain", "a.example"]);
    assert!(code(&ran) == 1 && stderr(&ran).contains("spinway.yaml is there already"), "{}", Ran(&ran));
    let said = refused(&repo, "tenant catalog", 1);
    assert!(said.contains("there is a tenant `catalog` already: spinway.yaml:"), "{said}");
    // A folder without Config may hold what is in the way.
    let other = Repo::empty();
    other.write("apps/.spinwayignore", "mine");
    assert!(
        refused(&other, "repository --domain a.example --name a", 1).contains("apps/.spinwayignore is there already")
    );
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let repo = shop();
    for (words, option) in [
        ("app cart --namespace checkout", "--image is missing"),
        ("app cart --image a", "--namespace is missing: Namespace; there are: checkout, catalog"),
        ("app", "NAME"),
        ("tenant", "NAME"),
    ] {
        let ran = if words.contains(' ') { new(&repo, words) } else { run(&["new", words]) };
        assert!(code(&ran) == 64 && stderr(&ran).contains(option), "{words}: {}", Ran(&ran));
    }
    let empty = Repo::empty();
    assert!(refused(&empty, "repository --name a", 64).contains("--domain is missing"));
    assert!(refused(&empty, "app cart --namespace a --image a", 64).contains("`spinway new repository` makes one"));
}

#[test]
fn names_that_kubernetes_does_not_take_are_refused() {
    let repo = shop();
    let long = "a".repeat(44);
    for words in [
        "app Cart --namespace checkout --image ghcr.io/acme/checkout/a",
        "app cart --namespace Checkout --image ghcr.io/acme/checkout/a",
        &format!("app {long} --namespace checkout --image ghcr.io/acme/checkout/a"),
        "tenant a_b",
        "tenant platform",
        "gateway a.b",
        "gateway g --namespace -",
        "gateway g --certificate a..b",
    ] {
        let said = refused(&repo, &words.replace("--namespace -", "--namespace=-"), 64);
        assert!(said.contains("is no name"), "{words}: {said}");
    }
    let fits = "a".repeat(43);
    made(&repo, &format!("app {fits} --namespace checkout --image ghcr.io/acme/checkout/a"));
}

#[test]
fn what_its_tenant_may_not_is_not_written() {
    let repo = shop();
    for (words, check) in [
        ("app a --namespace checkout --image docker.io/b/c", "SPW106"),
        (
            "app a --namespace checkout --image ghcr.io/acme/checkout/a --gateway infra/public --host other.example",
            "SPW104",
        ),
        ("app a --namespace checkout --image ghcr.io/acme/checkout/a --gateway infra/public --path /catalog", "SPW105"),
        ("app a --namespace checkout --image ghcr.io/acme/checkout/a --gateway infra/inner", "SPW103"),
    ] {
        let said = refused(&repo, words, 1);
        assert!(said.contains(check) && said.contains("does not pass the checks"), "{words}: {said}");
    }
}

#[test]
fn a_config_changes_by_the_insertion_alone() {
    let repo = Repo::shop();
    let before = std::fs::read_to_string(repo.file("spinway.yaml")).expect("the Config");
    let said = made(&repo, "tenant reviews --gateway infra/public");
    let after = std::fs::read_to_string(repo.file("spinway.yaml")).expect("the Config");
    let inserted = [
        "    # Team reviews. A rule that is not written sets no bounds; docs/guides/guardrails.md has them all.",
        "    - name: reviews",
        "      paths: [apps/reviews]               # its files: all below are held against these rules",
        "      namespaces: [reviews]               # where they may be",
        "      gateways: [infra/public]            # what its routes may attach to",
        "      hostnames: [\"${domain}\"]            # shared with other teams; those of its own go under ownHostnames",
        "      pathPrefixes: [/reviews]            # what it may serve of the shared ones",
        "      images: [\"ghcr.io/acme/reviews/*\"]  # where its artifacts come from; * does not cross /",
    ];
    let inserted = inserted.map(|line| format!("{line}\n")).concat();
    assert_eq!(after.replacen(&inserted, "", 1), before, "{after}");
    assert!(said.contains("wrote platform/tenant-reviews.yaml\nwrote spinway.yaml"), "{said}");
    // The Gateway of the shop takes routes of labelled namespaces alone.
    let text = std::fs::read_to_string(repo.file("platform/tenant-reviews.yaml")).expect("the file");
    assert!(text.contains("labels: {shop.example/exposed: \"true\"}"), "{text}");
    let app = "app stars --namespace reviews --gateway infra/public --image ghcr.io/acme/reviews/stars:1@sha256:";
    made(&repo, &format!("{app}{}", "c".repeat(64)));
    let written = std::fs::read_to_string(repo.file("apps/reviews/stars.yaml")).expect("the file");
    assert!(written.contains("section: https, hosts: [\"${domain}\"], path: /reviews/stars}"), "{written}");
    let checked = run(&["check", repo.dir(), "--env", "staging"]);
    assert_eq!(code(&checked), 0, "{}", Ran(&checked));
}

#[test]
fn a_config_that_cannot_be_changed_safely_is_left_to_people() {
    let repo = Repo::empty();
    let config = "{apiVersion: spinway.dev/v1alpha1, kind: Config, metadata: {name: t}, spec: {sources: [platform], environments: [{name: a}]}}\n";
    repo.write("spinway.yaml", config);
    repo.write("platform/.spinwayignore", "");
    let said = made(&repo, "tenant one");
    assert!(
        said.contains("add this to the list `spec.tenants` of spinway.yaml") && said.contains("\n  - name: one\n"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(repo.file("spinway.yaml")).expect("the Config"), config);
}

#[test]
fn a_link_is_not_written_over() {
    let repo = shop();
    let elsewhere = Repo::empty();
    std::os::unix::fs::symlink(elsewhere.path(), repo.file("apps/checkout")).expect("a link");
    let said = refused(&repo, "app cart --namespace checkout --image ghcr.io/acme/checkout/cart", 1);
    assert!(said.contains("without links"), "{said}");
    assert!(files(elsewhere.path()).is_empty());
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let repo = shop();
    repo.write("apps/.spinwayignore", "draft-*\n");
    let said = refused(&repo, "app draft-a --namespace checkout --image ghcr.io/acme/checkout/cart", 1);
    assert!(said.contains("a .spinwayignore leaves apps/checkout/draft-a.yaml out"), "{said}");
}

#[test]
fn on_a_terminal_it_asks_with_an_answer_at_hand() {
    let repo = shop();
    // `script` (util-linux) gives the program a terminal.
    let on_terminal = |words: &str, answers: &str| {
        let command = format!("{} new {words} {}", env!("CARGO_BIN_EXE_spinway"), repo.dir());
        let mut child = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs");
        std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), answers.as_bytes()).expect("answers");
        child.wait_with_output().expect("script ends")
    };
    let ran = on_terminal("app cart", "checkout\nghcr.io/acme/checkout/cart:1\n\n\n/checkout\n");
    let shown = stdout(&ran);
    assert_eq!(code(&ran), 0, "{shown}");
    for question in [
        "Namespace (checkout, catalog): ",
        "Image, registry/name:tag@sha256:...: ",
        "Gateway that serves it, or none [infra/public]: ",
        "Host [${domain}]: ",
        "Path prefix [/checkout/cart]: ",
    ] {
        assert!(shown.contains(question), "{question}: {shown}");
    }
    let text = std::fs::read_to_string(repo.file("apps/checkout/cart.yaml")).expect("the file");
    assert!(text.contains("hosts: [\"${domain}\"], path: /checkout}"), "{text}");
    let ran = on_terminal("app pay --namespace checkout --image ghcr.io/acme/checkout/pay:1", "none\n");
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let text = std::fs::read_to_string(repo.file("apps/checkout/pay.yaml")).expect("the file");
    assert!(text.contains("\n  # routes:\n"), "{text}");
}
