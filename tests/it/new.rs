//! `spinway new`: from an empty folder to a cluster, and what it refuses.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr, stdout};
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
        assert!(code(&planned) == 0 && stdout(&planned).contains("8 to create"), "{}", Ran(&planned));
    }
    let ran = cluster.spinway(&["apply", repo.dir(), "--env", "staging", "--yes", "--timeout", "60"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    // The Role of each tenant is enough for all that its service account does.
    let of_checkout = cluster.audit().into_iter().filter(|request| {
        request.object.contains(" checkout/cart") && !matches!(request.verb.as_str(), "get" | "list" | "watch")
    });
    let users: Vec<String> = of_checkout
        .filter(|request| request.user_agent.starts_with("spinway"))
        .map(|request| request.acting_as)
        .collect();
    assert!(users.len() >= 4, "{users:?}");
    assert!(users.iter().all(|user| user == "system:serviceaccount:checkout:deployer"), "{users:?}");
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
        "    # Team reviews. An empty list allows nothing. docs/guides/guardrails.md has all fields.",
        "    - name: reviews",
        "      paths: [apps/reviews]               # its files: these rules hold for all below",
        "      namespaces: [reviews]               # the namespaces of its objects",
        "      gateways: [infra/public]            # what its routes may attach to",
        "      hostnames: [\"${domain}\"]            # shared with other teams; `ownHostnames` has those of its own",
        "      pathPrefixes: [/reviews]            # what it may serve of the shared ones",
        "      images: [\"ghcr.io/acme/reviews/*\"]  # where its images come from; * does not cross /",
        "      egress: []                          # where its apps may connect to: https://HOST, 10.0.0.0/8, namespace:NAME",
        "      serviceAccount: reviews/deployer    # its changes are made as this account",
    ];
    let inserted = inserted.map(|line| format!("{line}\n")).concat();
    assert_eq!(after.replacen(&inserted, "", 1), before, "{after}");
    let wrote = "wrote platform/tenant-reviews.yaml\nwrote apps/reviews/.spinwayignore\nwrote spinway.yaml";
    assert!(said.contains(wrote), "{said}");
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
    std::fs::remove_dir_all(repo.file("apps/checkout")).expect("the folder");
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

#[test]
fn in_a_protected_environment_what_is_made_has_no_errors() {
    let repo = shop();
    repo.edit("spinway.yaml", "# cluster: {uid: ...}", "cluster: {uid: u}");
    repo.edit("spinway.yaml", "# protected: true", "protected: true");
    repo.commit("the platform");
    made(
        &repo,
        &format!("app cart --namespace checkout --gateway infra/public --image {}", image("checkout", "cart", 'a')),
    );
    for environment in ["staging", "production"] {
        let checked = run(&["check", repo.dir(), "--env", environment]);
        assert!(code(&checked) == 0 && stdout(&checked).contains("0 errors, 0 warnings"), "{}", Ran(&checked));
        let planned = run(&["plan", repo.dir(), "--env", environment, "--against", "HEAD", "-o", "json"]);
        assert_eq!(code(&planned), 0, "{}", Ran(&planned));
        let report = json(&planned);
        assert_eq!((&report["summary"]["create"], &report["summary"]["blocked"]), (&json!(4), &json!(0)), "{report:#}");
        let errors = report["diagnostics"].as_array().expect("diagnostics").iter().filter(|d| d["severity"] == "error");
        assert_eq!(errors.count(), 0, "{report:#}");
    }
    // A pull request of the tenant cannot widen its rights: they are no file of its own.
    repo.write("apps/checkout/role.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: more, namespace: checkout}\nrules: []\n");
    let checked = run(&["check", repo.dir(), "--env", "production"]);
    assert!(code(&checked) == 1 && stdout(&checked).contains("SPW102"), "{}", Ran(&checked));
}

#[test]
fn codeowners_are_those_that_the_guide_advises() {
    let repo = Repo::empty();
    let said = made(&repo, "repository --name shop --domain shop.example --owner @acme/platform");
    assert!(said.contains("wrote .github/CODEOWNERS\n") && !said.contains("replace"), "{said}");
    let said = made(&repo, "tenant checkout --owner @acme/checkout --owner team-checkout");
    assert!(said.contains("wrote .github/CODEOWNERS (the tenant's folder was added)\n"), "{said}");
    let text = std::fs::read_to_string(repo.file(".github/CODEOWNERS")).expect("the file");
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/security.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    assert!(guide.contains(&format!("```\n{text}```\n")), "docs/guides/security.md needs:\n{text}");
    // Without a name of GitHub the folder stays with the platform team, and the line to add is shown.
    let said = made(&repo, "tenant catalog --owner team-catalog");
    assert!(
        said.contains(
            "add this to .github/CODEOWNERS, above the lines of the platform's own files:\n  /apps/catalog/ @ORG/TEAM\n"
        ),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(repo.file(".github/CODEOWNERS")).expect("the file"), text);
    // A team that nobody named must be replaced.
    let said = made(&Repo::empty(), "repository --name shop --domain shop.example");
    assert!(said.contains("replace @ORG/platform in .github/CODEOWNERS with the platform team\n"), "{said}");
}

#[test]
fn codeowners_that_are_there_stay_as_they_are() {
    // GitHub reads the first of these places: one in .github would take the place of the others.
    for file in [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"] {
        let repo = Repo::empty();
        repo.write(file, "* @acme/all\n");
        let said = made(&repo, "repository --name shop --domain shop.example --owner @acme/platform");
        assert!(said.contains(&format!("add this to {file}, as its last lines:\n  # Who reviews")), "{said}");
        assert!(said.contains("\n  /spinway.yaml @acme/platform\n"), "{said}");
        let said = made(&repo, "tenant checkout --owner @acme/checkout");
        assert!(said.contains("own files:\n  /apps/checkout/ @acme/checkout\n"), "{said}");
        assert_eq!(std::fs::read_to_string(repo.file(file)).expect("the file"), "* @acme/all\n");
        assert_eq!(files(repo.path()).keys().filter(|path| path.ends_with("CODEOWNERS")).count(), 1);
    }
    // A link is neither followed nor replaced.
    let (repo, elsewhere) = (Repo::empty(), Repo::empty());
    std::os::unix::fs::symlink(elsewhere.path(), repo.file(".github")).expect("a link");
    let said = made(&repo, "repository --name shop --domain shop.example --owner @acme/platform");
    assert!(said.contains("add this to .github/CODEOWNERS") && files(elsewhere.path()).is_empty(), "{said}");
    // In a folder of a larger repository the file is that of the repository.
    let larger = Repo::empty();
    larger.git(&["init", "-q"]);
    let below = larger.file("deploy/shop").display().to_string();
    let ran = run(&["new", "repository", &below, "--domain", "shop.example", "--owner", "@acme/platform"]);
    assert!(code(&ran) == 0 && stdout(&ran).contains("\n  /deploy/shop/platform/ @acme/platform\n"), "{}", Ran(&ran));
    assert_eq!(files(larger.path()).keys().filter(|path| path.ends_with("CODEOWNERS")).count(), 0);
}

#[test]
fn a_namespace_that_nobody_has_is_refused_with_those_there_are() {
    let repo = shop();
    for namespace in ["chekout", "elsewhere"] {
        let said =
            refused(&repo, &format!("app pay --namespace {namespace} --image {}", image("checkout", "pay", 'a')), 64);
        assert!(said.contains(namespace) && said.contains("checkout") && said.contains("catalog"), "{said}");
        assert_eq!(said.contains("Did you mean `checkout`?"), namespace == "chekout", "{said}");
    }
    // One that the repository declares, or knows to live elsewhere, is right.
    repo.write("platform/more.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: tools}\n");
    repo.edit("spinway.yaml", "  tenants:\n", "  externals: [{kind: Namespace, name: \"legacy-*\"}]\n  tenants:\n");
    for namespace in ["tools", "legacy-shop"] {
        let ran = new(&repo, &format!("app {namespace} --namespace {namespace} --image {}", image("tools", "a", 'a')));
        assert!(!stderr(&ran).contains("no tenant has namespace"), "{}", Ran(&ran));
    }
}

#[test]
fn the_folder_of_a_tenant_is_made_with_its_first_app() {
    let repo = shop();
    let image = image("catalog", "list", 'b');
    let ran = run(&["new", "app", "list", repo.file("apps/catalog").to_str().expect("a path"), "--image", &image]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert!(repo.file("apps/catalog/list.yaml").exists());
    let deep = repo.file("apps/catalog/team/blue");
    let ran = run(&["new", "app", "blue", deep.to_str().expect("a path"), "--image", &image.replace("list:", "blue:")]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert!(deep.join("blue.yaml").exists(), "{}", Ran(&ran));
    // Outside of any repository there is still nothing to add to.
    let elsewhere = Repo::empty();
    let ran = run(&["new", "app", "a", elsewhere.file("b/c").to_str().expect("a path"), "--image", "a"]);
    assert_eq!(code(&ran), 64, "{}", Ran(&ran));
}
