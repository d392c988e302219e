//! What an attack on the guards found that shows in what the program does with a whole repository, each with siblings.

use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr, stdout};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\n")
}

/// The name and action of each change of a plan against a revision.
fn changes(repo: &Repo, against: &str, more: &[&str]) -> Vec<(String, String)> {
    let ran = run(&[&["plan", repo.dir(), "--against", against, "-o", "json"], more].concat());
    let report = json(&ran);
    let changes = report["changes"].as_array().unwrap_or_else(|| panic!("no plan: {}", Ran(&ran)));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let row = |change: &Value| {
        (text(&change["object"]["kind"]) + " " + &text(&change["object"]["name"]), text(&change["action"]))
    };
    changes.iter().map(row).collect()
}

fn errors(ran: &std::process::Output) -> Vec<(String, String)> {
    let report = json(ran);
    let found = report["diagnostics"].as_array().expect("findings").iter().filter(|found| found["severity"] == "error");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    found.map(|found| (text(&found["id"]), text(&found["file"]))).collect()
}

#[test]
fn of_an_app_of_which_one_object_is_refused_nothing_is_changed() {
    let repo = Repo::empty();
    repo.write(
        "spinway.yaml",
        "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec:\n  sources: [platform, apps]\n  environments: [{name: test}]\n  \
         externals: [{kind: Namespace}, {kind: SpinAppExecutor}, {kind: Gateway}]\n  tenants:\n    - {name: one, paths: [apps/one], namespaces: [shop], gateways: [infra/public], hostnames: [shop.example], pathPrefixes: [/cart], images: [\"ghcr.io/acme/*\"], egress: [\"https://api.example\"]}\n    \
         - {name: two, paths: [apps/two], namespaces: [shop]}\n",
    );
    repo.write("platform/.spinwayignore", "");
    let app = |name: &str, image: &str, egress: &str, path: &str| {
        format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{image: \"{image}\", executor: shim, egress: [{egress}], routes: [{{gateway: infra/public, section: http, hosts: [shop.example], path: {path}}}]}}\n"
        )
    };
    repo.write("apps/one/kept.yaml", &app("kept", "ghcr.io/acme/kept:1", "", "/cart/kept"));
    // Another team's object is no part of an App that it names.
    repo.write(
        "apps/two/map.yaml",
        &map("two").replace("namespace: shop}", "namespace: shop, labels: {spinway.dev/app: kept}}"),
    );
    repo.commit("first");
    repo.write("apps/one/kept.yaml", &app("kept", "ghcr.io/acme/kept:2", "", "/pay"));
    repo.write("apps/one/open.yaml", &app("open", "ghcr.io/acme/open:1", "\"*://*:*\"", "/cart/a"));
    repo.write("apps/one/foreign.yaml", &app("foreign", "docker.io/foreign:1", "", "/cart/b"));
    repo.write("apps/one/right.yaml", &app("right", "ghcr.io/acme/right:1", "\"https://api.example\"", "/cart/c"));
    let two = fs::read_to_string(repo.file("apps/two/map.yaml")).expect("it is there");
    repo.write("apps/two/map.yaml", &(two + "data: {a: b}\n"));
    let changes = changes(&repo, "HEAD", &[]);
    let actions = |name: &str| {
        let of_name =
            changes.iter().filter(|(object, _)| object.split(' ').nth(1).is_some_and(|own| own.starts_with(name)));
        of_name
            .map(|(_, action)| action.as_str())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(actions("open"), ["blocked"], "{changes:?}");
    assert_eq!(actions("foreign"), ["blocked"], "{changes:?}");
    assert_eq!(actions("kept"), ["blocked", "unchanged"], "{changes:?}");
    assert_eq!(actions("right"), ["create"], "{changes:?}");
    assert_eq!(actions("two"), ["update"], "{changes:?}");
}

#[test]
fn a_circle_is_at_the_fault_of_the_wish_and_stops_nobody_else() {
    let repo = Repo::with_config();
    let route = |path: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: cart, namespace: shop}}\nspec:\n  \
             rules: [{{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], backendRefs: [{{name: cart, port: 80}}]}}]\n"
        )
    };
    let service = |wish: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: cart, namespace: shop, annotations: {{{wish}}}}}\nspec: {{selector: {{a: b}}, ports: [{{port: 80}}]}}\n"
        )
    };
    repo.write("platform/route.yaml", &route("/cart"));
    repo.write("platform/map.yaml", &map("other"));
    repo.write("apps/one/service.yaml", &service(""));
    repo.commit("first");
    repo.write("platform/route.yaml", &route("/basket"));
    repo.write("platform/map.yaml", &(map("other") + "data: {a: b}\n"));
    let wish = "config.kubernetes.io/depends-on: gateway.networking.k8s.io/namespaces/shop/HTTPRoute/cart";
    repo.write("apps/one/service.yaml", &service(wish));
    let checked = run(&["check", repo.dir(), "-o", "json"]);
    let circle = ("graph-cycle".to_owned(), "apps/one/service.yaml".to_owned());
    assert!(code(&checked) == 1 && errors(&checked).contains(&circle), "{}", Ran(&checked));
    let report = json(&run(&["plan", repo.dir(), "--against", "HEAD", "-o", "json"]));
    let row = |kind: &str| {
        let changes = report["changes"].as_array().expect("changes").iter();
        changes.clone().find(|change| change["object"]["kind"] == kind).unwrap_or_else(|| panic!("{report:#}"))
    };
    assert_eq!(
        (&row("Service")["action"], &row("ConfigMap")["action"]),
        (&"blocked".into(), &"update".into()),
        "{report:#}"
    );
    // The route has no error of its own: it leads to the Service, and waits for that.
    let because = row("HTTPRoute")["because"].to_string();
    assert!(because.contains("It needs Service shop/cart") && !because.contains("cycle"), "{report:#}");
}

/// Two names that differ in bytes that are no UTF-8 look alike: neither stands for the other.
#[test]
fn files_and_folders_of_one_lossy_name_are_errors() {
    for (one, other) in [
        (&b"apps/one/a\xff.yaml"[..], &b"apps/one/a\xfe.yaml"[..]),
        (b"apps/one/\xff/a.yaml", b"apps/one/\xfe/a.yaml"),
        (b"apps/one/a\xff.yaml", "apps/one/a\u{fffd}.yaml".as_bytes()),
    ] {
        let repo = Repo::with_config();
        repo.write("apps/two/b.yaml", &map("b"));
        for (path, name) in [(one, "one"), (other, "other")] {
            let path = repo.path().join(OsStr::from_bytes(path));
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
            fs::write(path, map(name)).expect("the file can be written");
        }
        repo.commit("names");
        for more in [&[][..], &["--ref", "HEAD"][..]] {
            let ran = run(&[&["check", repo.dir(), "-o", "json"], more].concat());
            assert_eq!(code(&ran), 1, "{}", Ran(&ran));
            assert!(errors(&ran).iter().any(|(id, _)| id == "file-unreadable"), "{more:?}: {}", Ran(&ran));
        }
        // Nothing of the tenant is deleted for it.
        repo.git(&["rm", "-rq", "apps/two"]);
        repo.write("apps/two/.spinwayignore", "");
        repo.commit("without two");
        let before = Repo::with_config();
        before.write("apps/one/live.yaml", &map("live"));
        before.commit("live");
        let changes = changes(&repo, "HEAD~1", &[]);
        assert!(!changes.iter().any(|(object, action)| object != "ConfigMap b" && action == "delete"), "{changes:?}");
    }
}

#[test]
fn a_config_that_is_no_file_refuses() {
    type Make = fn(&std::path::Path);
    let makes: [(&str, Make); 3] = [
        ("a folder", |path| {
            fs::create_dir(path).expect("a folder");
            fs::write(path.join("a.yaml"), map("a")).expect("a file");
        }),
        ("a link", |path| std::os::unix::fs::symlink("other.yaml", path).expect("a link")),
        ("a link to nothing", |path| std::os::unix::fs::symlink("nothing", path).expect("a link")),
    ];
    for (what, make) in makes {
        let repo = Repo::empty();
        repo.write("other.yaml", "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec: {sources: [.], environments: [{name: test}]}\n");
        make(&repo.file("spinway.yaml"));
        repo.commit("first");
        for arguments in [
            &["check", repo.dir()][..],
            &["check", repo.dir(), "--ref", "HEAD"],
            &["plan", repo.dir(), "--against", "HEAD"],
        ] {
            let ran = run(arguments);
            assert_eq!(code(&ran), 3, "{what}: {arguments:?} {}", Ran(&ran));
            assert!(stderr(&ran).contains("spinway.yaml"), "{what}: {}", Ran(&ran));
        }
    }
}

/// A file that was named by mistake may hold a secret.
#[test]
fn a_file_that_is_no_snapshot_is_not_repeated() {
    let repo = Repo::with_config();
    let secret = "kq93-hush";
    for text in [
        format!("\"{secret}\""),
        format!("{{\"schema\": \"spinway.dev/snapshot/v1\", \"cluster\": [\"{secret}\"]}}"),
        format!("{{\"schema\": \"spinway.dev/snapshot/v1\", \"{secret}\": 1}}"),
        format!("token: {secret}\n"),
        format!("{{\"a\": \"{secret}"),
    ] {
        repo.write("snapshot.json", &text);
        let file = repo.file("snapshot.json").display().to_string();
        for arguments in [["check", repo.dir(), "--snapshot", &file], ["plan", repo.dir(), "--snapshot", &file]] {
            let ran = run(&arguments);
            assert_eq!(code(&ran), 1, "{}", Ran(&ran));
            assert!(stderr(&ran).contains("snapshot.json"), "{}", Ran(&ran));
            assert!(!(stderr(&ran) + &stdout(&ran)).contains("hush"), "{}", Ran(&ran));
        }
    }
}

/// The sibling of a tree without end: one without bottom.
#[test]
fn folders_of_git_that_are_too_deep_stop_their_tenant_alone() {
    let repo = Repo::with_config();
    repo.write("apps/one/a.yaml", &map("of-one"));
    repo.write("apps/two/b.yaml", &map("of-two"));
    repo.commit("first");
    let git = git2::Repository::open(repo.path()).expect("a repository");
    let blob = git.blob(map("deep").as_bytes()).expect("a blob");
    let folder = |name: &str, of: git2::Oid, mode: i32| {
        let mut folder = git.treebuilder(None).expect("a folder");
        folder.insert(name, of, mode).expect("an entry");
        folder.write().expect("a folder")
    };
    let deep = (0..100).fold(folder("deep.yaml", blob, 0o100_644), |below, _| folder("n", below, 0o040_000));
    let head = git.head().and_then(|head| head.peel_to_commit()).expect("a commit");
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert("apps/one/deep", deep, git2::FileMode::Tree);
    update.remove("apps/one/a.yaml");
    let tree = update.create_updated(&git, &head.tree().expect("a tree")).expect("a tree");
    let author = git2::Signature::now("a", "a@example.com").expect("an author");
    let tree = git.find_tree(tree).expect("a tree");
    git.commit(Some("HEAD"), &author, &author, "deep", &tree, &[&head]).expect("a commit");
    let checked = run(&["check", repo.dir(), "--ref", "HEAD", "-o", "json"]);
    assert!(
        errors(&checked).iter().any(|(id, file)| id == "file-unreadable" && file.starts_with("apps/one/deep")),
        "{}",
        Ran(&checked)
    );
    let changes = changes(&repo, "HEAD~1", &["--ref", "HEAD"]);
    assert!(!changes.iter().any(|(_, action)| action == "delete"), "{changes:?}");
}

/// What is no file is not opened: a pipe without a writer would never end.
#[test]
fn pipes_links_and_submodules_are_not_read() {
    let repo = Repo::with_config();
    repo.write("apps/two/b.yaml", &map("b"));
    repo.commit("first");
    let id = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},apps/one/module")]);
    std::os::unix::fs::symlink("/etc", repo.file("apps/one/etc")).expect("a link");
    repo.git(&["add", "apps/one/etc"]);
    repo.git(&["commit", "-qm", "module"]);
    let pipe = std::process::Command::new("mkfifo").arg(repo.file("apps/one/pipe.yaml")).status();
    assert!(pipe.expect("mkfifo runs").success());
    repo.git(&["init", "-q", "apps/one/module"]);
    for more in [&[][..], &["--ref", "HEAD"][..]] {
        let ran = run(&[&["check", repo.dir(), "-o", "json"], more].concat());
        let found = errors(&ran);
        for wanted in [("file-submodule", "apps/one/module"), ("file-symlink", "apps/one/etc")] {
            assert!(found.contains(&(wanted.0.to_owned(), wanted.1.to_owned())), "{more:?}: {wanted:?} {}", Ran(&ran));
        }
    }
}

/// A pull request that hides files hides them from every rule, and their objects would be deleted.
#[test]
fn what_a_pull_request_newly_leaves_out_is_said_first() {
    let repo = Repo::with_config();
    repo.write("apps/one/a.yaml", &map("a"));
    repo.write("apps/two/b.yaml", &map("b"));
    repo.commit("first");
    repo.write(".spinwayignore", "apps/two/*.yaml\n");
    let first = "Which files are read changes with this pull request: .spinwayignore.";
    let told = stdout(&run(&["check", repo.dir(), "--base", "HEAD"]));
    assert!(told.starts_with(first), "{told}");
    let report = json(&run(&["check", repo.dir(), "--base", "HEAD", "-o", "json"]));
    assert!(report["notices"][0].as_str().is_some_and(|notice| notice.starts_with(first)), "{report:#}");
    // A tenant's own is no rule of others, and cannot hide their files.
    repo.remove(".spinwayignore");
    repo.write("apps/one/.spinwayignore", "*.yaml\n");
    let told = stdout(&run(&["check", repo.dir(), "--base", "HEAD"]));
    assert!(!told.contains("Which files are read"), "{told}");
    let changes = changes(&repo, "HEAD", &[]);
    let deleted: Vec<&str> =
        changes.iter().filter(|(_, action)| action == "delete").map(|(object, _)| object.as_str()).collect();
    assert_eq!(deleted, ["ConfigMap a"], "{changes:?}");
}
