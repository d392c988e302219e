//! What one tenant has never stops another one (law 10): for each share the smallest input beyond it, on a real API server.

use crate::agent::config_map;
use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr};
use crate::too_much::INPUTS;
use serde_json::Value;

fn repository() -> Repo {
    let repo = Repo::with_config();

    for (path, name) in
        [("apps/one/a.yaml", "of-one"), ("apps/two/b.yaml", "of-two"), ("platform/c.yaml", "of-platform")]
    {
        repo.write(path, &config_map(name, "v1"));
    }
    repo
}

#[test]
fn a_tenant_that_is_too_large_stops_no_other() {
    let mut cluster = Cluster::take();
    let repo = repository();
    let ran = cluster.spinway(&["apply", repo.dir(), "--yes"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    for (number, input) in INPUTS.iter().enumerate() {
        let name = input.name;
        std::fs::remove_dir_all(repo.file("apps/one")).expect("it can be emptied");
        let config = std::fs::read_to_string(repo.file("spinway.yaml")).expect("a Config");
        (input.write)(&repo);
        let value = format!("v{}", number + 2);
        for (path, name) in [("apps/two/b.yaml", "of-two"), ("platform/c.yaml", "of-platform")] {
            repo.write(path, &config_map(name, &value));
        }
        // What would be deleted if the tenant counted as read is there no more.
        if input.rest_goes_on {
            repo.write("apps/one/a.yaml", &config_map("of-one", &value));
        }
        cluster.mark();
        let ran = cluster.spinway(&["apply", repo.dir(), "--yes", "-o", "json"]);
        let report = json(&ran);
        let finding =
            |found: &&Value| found["severity"] == "error" && Some(found["id"].as_str().unwrap_or("")) == input.finding;
        let found = report["diagnostics"].as_array().expect("findings").iter().filter(finding).count();
        assert_eq!(found, usize::from(input.finding.is_some()), "{name}: {}", stderr(&ran));
        let of = |name: &str| cluster.get(&format!("/api/v1/namespaces/default/configmaps/{name}")).expect(name);
        assert_eq!(of("of-two")["data"]["k"], value.as_str(), "{name}: {}", Ran(&ran));
        assert_eq!(of("of-platform")["data"]["k"], value.as_str(), "{name}");
        let own = of("of-one")["data"]["k"].clone();
        assert!(own == value.as_str() || !input.rest_goes_on, "{name}: {own}");
        let deleted = cluster.writes().into_iter().filter(|request| request.verb == "delete").count();
        assert_eq!(deleted, 0, "{name}");
        repo.write("spinway.yaml", &config);
    }
}

#[test]
fn a_damaged_object_of_git_is_an_error_at_once() {
    for cut in ["HEAD", "HEAD^{tree}", "HEAD:apps", "HEAD:apps/one", "HEAD:apps/one/a.yaml"] {
        let repo = repository();
        repo.commit("first");
        let id = repo.git(&["rev-parse", cut]);
        let path = repo.file(&format!(".git/objects/{}/{}", &id.trim()[..2], &id.trim()[2..]));
        let whole = std::fs::read(&path).expect("a loose object");
        std::fs::remove_file(&path).expect("it may be replaced");
        std::fs::write(&path, &whole[..10]).expect("it can be written");
        for arguments in [["check", repo.dir(), "--ref", "main"], ["plan", repo.dir(), "--against", "main"]] {
            let ran = run(&arguments);
            assert!(code(&ran) == 3 || code(&ran) == 1, "{cut}: {}", Ran(&ran));
            assert!(stderr(&ran).contains("error"), "{cut}: {}", Ran(&ran));
        }
    }
}

/// A few objects of Git stand for any number of paths: those of one tenant stop that tenant alone.
#[test]
fn a_tree_of_git_without_end_stops_its_tenant_alone() {
    let repo = repository();
    repo.commit("first");
    let git = git2::Repository::open(repo.path()).expect("a repository");
    let blob = git.blob(b"no manifest").expect("a blob");
    let folder = |entries: usize, of: git2::Oid, mode: i32| {
        let mut folder = git.treebuilder(None).expect("a folder");
        (0..entries).for_each(|n| drop(folder.insert(format!("n{n}"), of, mode)));
        folder.write().expect("a folder")
    };
    // 10^12 paths.
    let bomb = (0..4).fold(folder(1_000, blob, 0o100_644), |below, _| folder(1_000, below, 0o040_000));
    let head = git.head().and_then(|head| head.peel_to_commit()).expect("a commit");
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert("apps/one/bomb", bomb, git2::FileMode::Tree);
    let tree = update.create_updated(&git, &head.tree().expect("a tree")).expect("a tree");
    let author = git2::Signature::now("a", "a@example.com").expect("an author");
    let tree = git.find_tree(tree).expect("a tree");
    git.commit(Some("HEAD"), &author, &author, "bomb", &tree, &[&head]).expect("a commit");
    let ran = run(&["plan", repo.dir(), "--ref", "HEAD", "--against", "HEAD~1", "-o", "json"]);
    let report = json(&ran);
    let found = report["diagnostics"].as_array().expect("findings").iter();
    assert_eq!(found.filter(|found| found["id"] == "tenant-size").count(), 1, "{}", Ran(&ran));
    let changes = report["changes"].as_array().expect("changes");
    assert!(changes.iter().any(|change| change["object"]["name"] == "of-two"), "{}", Ran(&ran));
    assert!(changes.iter().all(|change| change["action"] != "delete"), "{}", Ran(&ran));
}
