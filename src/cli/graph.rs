//! `spinway graph`.

use super::common::{Format, Repository, Target};
use super::failure::{FAILED, Failure};
use super::ui;
use crate::graph::{Graph, Link};
use crate::live::Live;
use crate::object::ObjectRef;
use crate::report::{dot, graph_text, mermaid, why_text, yaml};
use clap::Args;
use serde_json::{Value, json};

/// Show the dependency graph that the objects' own references make
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    repository: Repository,
    /// Show the chain of needs from one object to another, each as KIND/NAME or KIND/NAMESPACE/NAME
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    why: Option<Vec<String>>,
    /// The format, and a file for it; may be given several times [text, json, jsonl, yaml, markdown, dot, mermaid]
    #[arg(
        short,
        long,
        env = "SPINWAY_OUTPUT",
        value_name = "FORMAT[=FILE]",
        value_delimiter = ',',
        default_value = "text"
    )]
    output: Vec<Target>,
    /// Show errors only
    #[arg(short, long, env = "SPINWAY_QUIET")]
    quiet: bool,
}

/// Shows the graph.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let (repository, desired) = arguments.repository.read()?;
    let graph = Graph::build(&desired, &Live::default());
    let cycles: Vec<_> = graph.circles(&desired).into_iter().map(|circle| circle.finding).collect();
    let found: Vec<_> = desired.diagnostics.iter().chain(&cycles).cloned().collect();
    ui::diagnostics(&found, &repository.tree, arguments.quiet);
    if let Some(ends) = &arguments.why {
        let [from, to] = [find(&graph, &ends[0])?, find(&graph, &ends[1])?];
        let Some(chain) = graph.why(&from, &to) else {
            ui::progress(&crate::object::Untrusted::new(format!("{from} does not need {to}.")).terminal());
            return Ok(FAILED);
        };
        let target = Target { format: Format::Text, file: None };
        target.write(&why_text(&chain))?;
        return Ok(0);
    }
    for target in &arguments.output {
        let text = match target.format {
            Format::Text => graph_text(&graph),
            Format::Dot => dot(&graph),
            Format::Mermaid => mermaid(&graph),
            Format::Markdown => format!("```mermaid\n{}```\n", mermaid(&graph)),
            Format::Json => format!("{:#}\n", whole(&graph)),
            Format::Yaml => yaml(&whole(&graph)),
            Format::Jsonl => links(&graph).iter().map(|link| format!("{link}\n")).collect(),
            Format::Sarif | Format::Junit | Format::Github => {
                return Err(Failure::usage("sarif, junit and github are formats of `spinway check`"));
            }
        };
        target.write(&text)?;
    }
    Ok(if cycles.is_empty() { 0 } else { FAILED })
}

/// The objects and the links between them.
fn whole(graph: &Graph) -> Value {
    json!({"nodes": graph.nodes().collect::<Vec<_>>(), "links": links(graph)})
}

fn links(graph: &Graph) -> Vec<Value> {
    let link = |(from, to, link): (&ObjectRef, &ObjectRef, &Link)| json!({"from": from, "to": to, "because": link.because, "origin": link.origin});
    graph.links().into_iter().map(link).collect()
}

fn find(graph: &Graph, text: &str) -> Result<ObjectRef, Failure> {
    let (kind, path) = text.split_once('/').unwrap_or((text, ""));
    let mut found = graph.nodes().filter(|n| n.kind.eq_ignore_ascii_case(kind) && (n.path() == path || n.name == path));
    match (found.next(), found.next()) {
        (Some(object), None) => Ok(object.clone()),
        (None, _) => Err(Failure::usage(format!("there is no object `{text}` in the graph"))),
        _ => Err(Failure::usage(format!("`{text}` means several objects; name the namespace too"))),
    }
}
