//! Repositories of which one tenant has too much.

use crate::repo::Repo;
use std::fmt::Write as _;

/// What makes tenant `one` too large, and the finding that says so.
pub struct Input {
    /// What there is too much of.
    pub name: &'static str,
    /// Writes it into a repository with tenant `one`.
    pub write: fn(&Repo),
    /// The finding; none for what is read as anything else.
    pub finding: Option<&'static str>,
    /// Whether the rest of the tenant goes on.
    pub rest_goes_on: bool,
}

/// For each limit the smallest input beyond it, and siblings that have the limit of something else.
pub const INPUTS: [Input; 15] = [
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
