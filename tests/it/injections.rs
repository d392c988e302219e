//! Foreign text in everything that spinway prints, judged by parsers of what reads it: a runner of GitHub Actions, a terminal,
//! Markdown, XML, SARIF, Mermaid and DOT.

use crate::fuzz::targets::grammar::{
    commands, in_annotations, in_dot, in_markdown, in_mermaid, in_sarif, in_terminal, in_xml,
};
use crate::mermaid;
use crate::repo::Repo;
use crate::run::{Ran, code, json as answered, run, stderr, stdout};
use serde_json::{Value, json};
use spinway::object::Untrusted;
use std::fmt::Write as _;

/// What each reader might obey, or show as something else than text.
const HOSTILE: [&str; 28] = [
    "::add-mask::zq",
    "::error file=a.yaml,line=1::zq",
    "::stop-commands::zq",
    "::set-output name=zq::1",
    "##[add-mask]zq",
    "##[group]zq",
    "a ##[error]zq",
    "\u{1b}[31mzq\u{1b}[0m",
    "\u{1b}]8;;http://evil.example\u{7}zq\u{1b}]8;;\u{7}",
    "\u{9b}31mzq",
    "\u{202e}zq\u{2066}",
    "\u{200b}zq\u{e0041}\u{2028}zq",
    "<script>zq()</script>",
    "</code><img src=x onerror=zq>",
    "<!-- zq -->",
    "</details></td></tr>zq",
    "![zq](http://evil.example/x.png)",
    "[zq](http://evil.example)",
    "http://evil.example/zq www.evil.example/zq",
    "@acme/zq #1 GH-1 acme/zq#1",
    "``` zq ```",
    "| zq | zq |",
    "]]><zq/>&zq;",
    "\"]; zq --> n0 #lt;zq#gt;",
    "%0A::error::zq%25",
    "%%{init: {'theme': 'forest', 'themeCSS': 'zq'}}%% zq",
    "style zq:#35; #quot;",
    "\"]; n0 --> n0; click n0 \"http://evil.example\"; n1[\"zq",
];

/// Each as it is, on a line of its own, behind blanks, and behind a carriage return.
fn payloads() -> Vec<String> {
    let around = |text: &&str| {
        [text.to_string(), format!("one\n{text}\ntwo"), format!("one\n   {text}"), format!("one\r{text}")]
    };
    HOSTILE.iter().flat_map(around).collect()
}

fn map(name: &str, data: &Value, annotations: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "one", "annotations": annotations}, "data": data})
        .to_string()
}

/// A repository whose last commit changes values, keys, names, comments and file names to the payloads, and its objects.
fn repository() -> Repo {
    let repo = Repo::with_config();
    let payloads = payloads();
    let before: serde_json::Map<String, Value> =
        (0..payloads.len()).map(|n| (format!("k{n}"), json!("one\nbefore"))).collect();
    repo.write("apps/one/values.yaml", &map("values", &Value::Object(before), &json!({})));
    repo.commit("before");
    let values: serde_json::Map<String, Value> =
        payloads.iter().enumerate().map(|(n, text)| (format!("k{n}"), json!(text))).collect();
    let keys: serde_json::Map<String, Value> = payloads.iter().map(|text| (text.clone(), json!("v"))).collect();
    repo.write("apps/one/values.yaml", &map("values", &Value::Object(values), &json!({})));
    repo.write("apps/one/keys.yaml", &map("keys", &Value::Object(keys.clone()), &Value::Object(keys)));
    for (number, text) in payloads.iter().enumerate() {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": text, "namespace": "one"},
            "rules": [{"apiGroups": [""], "resources": [text], "verbs": ["get"]}]});
        repo.write(&format!("apps/one/role-{number}.yaml"), &role.to_string());
        let wish = json!({"config.kubernetes.io/depends-on": format!("/namespaces/one/ConfigMap/{text}"), "spinway.dev/ignore": text});
        repo.write(&format!("platform/wish-{number}.yaml"), &map(&format!("wish-{number}"), &json!({}), &wish));
        if !text.contains('/') {
            let secret = json!({"apiVersion": "v1", "kind": text, "metadata": {"name": text}});
            repo.write(&format!("platform/{number} {text}.yaml"), &secret.to_string());
        }
    }
    repo.allow("ConfigMap, Role.rbac.authorization.k8s.io");
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "-m", &payloads[0], "-m", &payloads.join("\n")]);
    repo
}

/// Finds in a text what its reader would take for more than text.
type Judge<'a> = &'a dyn Fn(&str) -> Vec<String>;

fn judge(what: &str, text: &str, judges: &[Judge<'_>]) -> Vec<String> {
    assert!(!text.is_empty(), "{what} prints nothing");
    let found = judges.iter().flat_map(|judge| judge(text));
    found.map(|found| format!("{what}: {}", found.chars().take(200).collect::<String>())).collect()
}

#[test]
fn foreign_text_is_text_wherever_it_is_printed() {
    assert_eq!(payloads().len(), 112);
    let repo = repository();
    let dir = repo.dir();
    let (runner, terminal, as_xml, sarif) = (commands, in_terminal, in_xml, in_sarif);
    let (mermaid, dot) = (in_mermaid, in_dot);
    let markdown = |text: &str| in_markdown(text, "zq");
    let as_json = |text: &str| {
        serde_json::from_str::<Value>(text).err().map(|error| error.to_string()).into_iter().collect::<Vec<_>>()
    };
    let mut wrong = Vec::new();
    let mut run = |arguments: &[&str], judges: &[Judge<'_>]| {
        let ran = run(arguments);
        assert!(code(&ran) < 4, "{}", Ran(&ran));
        let mut what = String::new();
        let _ = write!(
            what,
            "{}",
            arguments.iter().filter(|argument| **argument != dir).copied().collect::<Vec<_>>().join(" ")
        );
        wrong.extend(judge(&what, &stdout(&ran), judges));
        wrong.extend(
            runner(&stderr(&ran))
                .into_iter()
                .chain(terminal(&stderr(&ran)))
                .map(|found| format!("{what}, standard error: {found}")),
        );
    };
    run(&["plan", dir, "--against", "HEAD~1"], &[&runner, &terminal]);
    run(&["plan", dir, "--against", "HEAD~1", "-v"], &[&runner, &terminal]);
    run(&["plan", dir, "--against", "HEAD~1", "-o", "markdown"], &[&runner, &terminal, &markdown]);
    run(&["plan", dir, "--against", "HEAD~1", "-o", "json"], &[&runner, &as_json]);
    run(&["plan", dir, "--against", "HEAD~1", "-o", "yaml"], &[&runner]);
    run(&["check", dir], &[&runner, &terminal]);
    run(&["check", dir, "-o", "markdown"], &[&runner, &terminal, &markdown]);
    run(&["check", dir, "-o", "json"], &[&runner, &as_json]);
    run(&["check", dir, "-o", "sarif"], &[&runner, &as_json, &sarif]);
    run(&["check", dir, "-o", "junit"], &[&runner, &as_xml]);
    run(&["graph", dir], &[&runner, &terminal]);
    run(&["graph", dir, "-o", "mermaid"], &[&runner, &terminal, &mermaid]);
    run(&["graph", dir, "-o", "dot"], &[&runner, &terminal, &dot]);
    run(&["graph", dir, "-o", "json"], &[&runner, &as_json]);
    run(&["render", dir], &[&runner]);
    run(&["render", dir, "--explain"], &[&runner, &terminal]);
    run(&["render", dir, "-o", "json"], &[&runner, &as_json]);
    run(&["install", dir, "--permissions"], &[&runner]);
    // Commands are what this one is for: one for each finding, on one line, with nothing of its own in them.
    let ran = crate::run::run(&["check", dir, "-o", "github"]);
    wrong.extend(in_annotations(&stdout(&ran)).into_iter().map(|found| format!("check -o github: {found}")));
    wrong.sort_unstable();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} found\n{}",
        wrong.len(),
        wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// Each object of the graph as text, and its links, from the JSON.
fn graph(dir: &str) -> (Vec<String>, Vec<(String, String)>) {
    let shown = |object: &Value| {
        let text = |field: &str| object[field].as_str().map(str::to_owned);
        let path = text("namespace").into_iter().chain(text("name")).collect::<Vec<_>>().join("/");
        Untrusted::new(format!("{} {path}", text("kind").expect("a kind"))).terminal()
    };
    let graph = answered(&run(&["graph", dir, "-o", "json"]));
    let links = graph["links"].as_array().expect("links").iter();
    let mut links: Vec<_> = links.map(|link| (shown(&link["from"]), shown(&link["to"]))).collect();
    let mut nodes: Vec<_> = graph["nodes"].as_array().expect("nodes").iter().map(shown).collect();
    nodes.sort_unstable();
    links.sort_unstable();
    (nodes, links)
}

#[test]
fn mermaid_itself_reads_foreign_text_as_labels() {
    let repo = repository();
    let (nodes, links) = graph(repo.dir());
    let text = stdout(&run(&["graph", repo.dir(), "-o", "mermaid"]));
    // All of it, and each node alone: what one sets or ends can be hidden by another.
    let alone = |line: &str| format!("flowchart LR\n{line}\n");
    let mut texts = vec![text.clone()];
    texts.extend(text.lines().filter(|line| line.contains('[')).map(alone));
    assert_eq!(texts.len(), nodes.len() + 1);
    // The same without the encoding, of which this test has to see what it sets.
    texts.extend(nodes.iter().map(|node| alone(&format!("  n0[\"{node}\"]"))));
    let read = mermaid::read(&texts);
    let (encoded, raw) = read.split_at(nodes.len() + 1);
    let (labels, between) = mermaid::flowchart(&encoded[0]).expect("a flowchart of texts");
    let mut found: Vec<_> = between.iter().map(|(from, to)| (labels[*from].clone(), labels[*to].clone())).collect();
    found.sort_unstable();
    assert_eq!(found, links);
    for (label, read) in labels.iter().zip(&encoded[1..]) {
        assert_eq!(mermaid::flowchart(read), Ok((vec![label.clone()], Vec::new())));
    }
    let mut labels = labels;
    labels.sort_unstable();
    assert_eq!(labels, nodes);
    let wrong = |node: &String, read: &Value| mermaid::flowchart(read) != Ok((vec![node.clone()], Vec::new()));
    for sign in ["\"]; zq --> n0", "click n0", "%%{init", "style zq:", "``` zq ```", "<script>"] {
        let raw: Vec<_> = nodes.iter().zip(raw).filter(|(node, _)| node.contains(sign)).collect();
        assert!(!raw.is_empty() && raw.iter().all(|(node, read)| wrong(node, read)), "{sign}: {raw:?}");
    }
    for set in ["\"link\":\"http://evil.example", "\"themeCSS\":\"zq\"", "\"id\":\"n1\""] {
        assert!(raw.iter().any(|read| read.to_string().contains(set)), "{set}");
    }
}
