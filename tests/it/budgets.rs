//! What one tenant has never stops another one (law 10): for each share the smallest input beyond it, on a real API server.

use crate::agent::config_map;
use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, code, json, run, stderr};
use serde_json::Value;
use std::fmt::Write as _;

/// What makes tenant `one` too large, and the finding that says so.
struct Input {
    name: &'static str,
    write: fn(&Repo),
    /// The finding; none for what is read as anything else.
    finding: Option<&'static str>,
    /// Whether the rest of the tenant goes on.
    rest_goes_on: bool,
}

const INPUTS: [Input; 15] = [
    Input { name: "bytes", write: bytes, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "files", write: files, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "documents", write: documents, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "items of lists", write: items, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "values", write: values, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "values of one file", write: values_of_a_file, finding: Some("yaml-nodes"), rest_goes_on: true },
    Input { name: "patches", write: patches, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "what patches add", write: growth, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "what values add", write: replaced, finding: Some("tenant-size"), rest_goes_on: false },
    Input { name: "a patch that copies itself", write: copies, finding: Some("patch"), rest_goes_on: true },
    Input { name: "a patch of one large value", write: large_patch, finding: Some("patch"), rest_goes_on: true },
    Input { name: "anchors in anchors", write: anchors, finding: None, rest_goes_on: true },
    Input { name: "aliases of aliases", write: aliases, finding: Some("yaml-alias"), rest_goes_on: true },
    Input { name: "a large circle", write: circle, finding: Some("graph-cycle"), rest_goes_on: true },
    Input { name: "comments for spinway", write: comments, finding: None, rest_goes_on: true },
];

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

fn many(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect()
}

/// A ConfigMap of tenant one with further fields of its metadata and its data.
fn map(name: &str, metadata: &str, data: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: default{metadata}}}\ndata: {{{data}}}\n"
    )
}

fn patch(name: &str, target: &str, change: &str) -> String {
    format!(
        "---\napiVersion: spinway.dev/v1alpha1\nkind: Patch\nmetadata: {{name: {name}}}\nspec: {{target: {{kind: ConfigMap, {target}}}, {change}}}\n"
    )
}

fn bytes(repo: &Repo) {
    let file = "#".repeat(8 << 20);
    for number in 0..4 {
        repo.write(&format!("apps/one/{number}.yaml"), &file);
    }
    repo.write("apps/one/last.yaml", "#");
}

fn files(repo: &Repo) {
    for number in 0..=10_000 {
        repo.write(&format!("apps/one/{number}.yaml"), "");
    }
}

fn documents(repo: &Repo) {
    repo.write("apps/one/many.yaml", &many(20_001, |n| map(&format!("m{n}"), "", "")));
}

fn items(repo: &Repo) {
    let item = |n| format!("- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: m{n}, namespace: default}}}}\n");
    repo.write("apps/one/many.yaml", &format!("apiVersion: v1\nkind: List\nitems:\n{}", many(20_001, item)));
}

fn values(repo: &Repo) {
    for file in 0..3 {
        let list = "1,".repeat(350_000);
        repo.write(
            &format!("apps/one/{file}.yaml"),
            &format!("{}binaryData: [{list}]\n", map(&format!("m{file}"), "", "")),
        );
    }
}

fn values_of_a_file(repo: &Repo) {
    repo.write("apps/one/one.yaml", &format!("{}binaryData: [{}]\n", map("m", "", ""), "1,".repeat(500_000)));
}

fn patches(repo: &Repo) {
    repo.write(
        "apps/one/many.yaml",
        &many(1_001, |n| patch(&format!("p{n}"), "name: of-one", "merge: {data: {z: v}}")),
    );
}

fn growth(repo: &Repo) {
    let mut text = many(1_000, |n| map(&format!("m{n}"), "", ""));
    let _ =
        write!(text, "{}", patch("p", "name: \"m*\"", &format!("merge: {{data: {{z: {}}}}}", "v".repeat(40 << 10))));
    repo.write("apps/one/many.yaml", &text);
}

fn replaced(repo: &Repo) {
    // 80 letters for each four.
    repo.edit("spinway.yaml", "{name: test}", &format!("{{name: test, values: {{v: {}}}}}", "v".repeat(80)));
    let text =
        map("m", ", annotations: {spinway.dev/substitute: enabled}", &format!("k: \"{}\"", "${v}".repeat(1 << 19)));
    repo.write("apps/one/values.yaml", &text);
}

fn copies(repo: &Repo) {
    let copy = "{op: copy, from: /data, path: /data/x}, {op: copy, from: /data, path: /data/y}";
    let change = format!("json: [{}]", vec![copy; 13].join(", "));
    repo.write("apps/one/copies.yaml", &(map("m", "", "k: v") + &patch("p", "name: m", &change)));
}

fn large_patch(repo: &Repo) {
    let change = format!("merge: {{data: {{z: {}}}}}", "v".repeat(3 << 20));
    repo.write("apps/one/large.yaml", &(map("m", "", "k: v") + &patch("p", "name: m", &change)));
}

fn anchors(repo: &Repo) {
    let open = many(120, |n| format!("&a{n} ["));
    let text = format!("{}list: {open}{}{}\n", map("m", "", ""), "1,".repeat(100_000), "]".repeat(120));
    repo.write("apps/one/deep.yaml", &text);
}

fn aliases(repo: &Repo) {
    let mut text = map("m", "", "") + "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for n in 1..10 {
        let item = format!("*a{}", n - 1);
        let _ = writeln!(text, "a{n}: &a{n} [{}]", [item.as_str(); 10].join(","));
    }
    repo.write("apps/one/bomb.yaml", &text);
}

fn circle(repo: &Repo) {
    let ring = |n| {
        let next = (n + 1) % 1_000;
        let wish = format!(", annotations: {{config.kubernetes.io/depends-on: /namespaces/default/ConfigMap/r{next}}}");
        map(&format!("r{n}"), &wish, "")
    };
    repo.write("apps/one/ring.yaml", &many(1_000, ring));
}

fn comments(repo: &Repo) {
    let line = |n| format!("  k{n}: \"v\" # spinway:ignore SPW022: it is meant\n");
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m, namespace: default}}\ndata:\n{}",
        many(5_000, line)
    );
    repo.write("apps/one/many.yaml", &text);
}
