//! Mermaid's own parser, run by QuickJS: `tests/mermaid`.

use crate::control_plane::{cache_dir, tests_dir};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// What Mermaid reads in each text: everything that the text sets, or an error.
pub fn read(texts: &[String]) -> Vec<Value> {
    let target = cache_dir().join("mermaid");
    let build = cargo(&["build", "--release", "--quiet"], &["--target-dir", &target.to_string_lossy()]);
    assert!(build.status.success(), "tests/mermaid does not build: {}", String::from_utf8_lossy(&build.stderr));
    let mut process = Command::new(target.join("release/mermaid"))
        .arg(script())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/mermaid runs");
    let mut input = process.stdin.take().expect("a pipe");
    input.write_all(json!(texts).to_string().as_bytes()).expect("tests/mermaid reads");
    drop(input);
    let output = process.wait_with_output().expect("tests/mermaid ends");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("tests/mermaid answers JSON");
    assert_eq!(answers.len(), texts.len());
    answers
}

/// Labels, and links between the nodes of these numbers.
pub type Flowchart = (Vec<String>, Vec<(usize, usize)>);

/// A flowchart of labels and links, and nothing else. The labels are the texts that a browser would show.
pub fn flowchart(read: &Value) -> Result<Flowchart, String> {
    let nodes = read["nodes"].as_array().ok_or_else(|| read.to_string())?;
    let edges = read["edges"].as_array().ok_or_else(|| read.to_string())?;
    let number = |id: &Value| id.as_str().and_then(|id| id.strip_prefix('n')?.parse::<usize>().ok());
    let mut labels = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let id = number(&node["id"]).ok_or_else(|| node.to_string())?;
        let only = json!({"id": format!("n{id}"), "labelType": "string", "domId": format!("flowchart-n{id}-{at}"), "styles": [],
            "classes": [], "text": node["text"], "type": "square", "props": {}, "tooltip": null});
        if *node != only {
            return Err(node.to_string());
        }
        labels.push(shown(node["text"].as_str().unwrap_or_default())?);
    }
    let mut links = Vec::new();
    for edge in edges {
        let (Some(start), Some(end)) = (number(&edge["start"]), number(&edge["end"])) else {
            return Err(edge.to_string());
        };
        let only = json!({"start": edge["start"], "end": edge["end"], "type": "arrow_point", "text": "", "labelType": "text",
            "classes": [], "isUserDefinedId": false, "stroke": "normal", "length": 1, "id": format!("L_n{start}_n{end}_0")});
        if *edge != only {
            return Err(edge.to_string());
        }
        links.push((start, end));
    }
    let only = json!({"type": "flowchart-v2", "config": {}, "direction": "LR", "nodes": nodes, "edges": edges, "defaults": null,
        "subgraphs": [], "classes": [], "title": "", "accessible": ""});
    if *read == only { Ok((labels, links)) } else { Err(read.to_string()) }
}

/// What a browser shows for a label: Mermaid's marks of entities are made entities again (its `decodeEntities`), the rest is HTML.
/// What Mermaid reads only when it draws (Markdown, icons, formulas, line breaks), which nothing here does, must not be there.
fn shown(label: &str) -> Result<String, String> {
    if label.contains(['<', '>', '&', '#', '\\', '`', '*', '_', '$', ':', '%']) {
        return Err(format!("{label} holds more than text"));
    }
    let html = label.replace("ﬂ°°", "&#").replace("ﬂ°", "&").replace("¶ß", ";");
    let html = format!("<p>{html}</p>");
    let document = roxmltree::Document::parse(&html).map_err(|error| format!("{html}: {error}"))?;
    Ok(document.root_element().text().unwrap_or_default().to_owned())
}

/// The published `dist/mermaid.min.js` of Mermaid 11.6.0, in a crate that holds it with two lines of comment before it.
fn script() -> PathBuf {
    let output = cargo(&["metadata", "--format-version", "1"], &[]);
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo tells where packages are");
    let package =
        metadata["packages"].as_array().into_iter().flatten().find(|package| package["name"] == "mdbook-mermaid");
    let manifest = PathBuf::from(package.expect("a locked package")["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("src/bin/assets/mermaid.min.js")
}

fn cargo(verb: &[&str], options: &[&str]) -> Output {
    let manifest = tests_dir().join("mermaid/Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(verb).args(["--locked", "--manifest-path"]).arg(manifest).args(options).output().expect("cargo runs")
}
