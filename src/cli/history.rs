//! `spinway history`.

use super::common::{Format, Target};
use super::failure::Failure;
use super::people::Place;
use crate::inventory::{Entry, Parent};
use crate::object::Untrusted;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

/// Show what was applied, when, and what came of it: the last 20 turns of each partition that changed something
#[derive(Args)]
pub(super) struct Arguments {
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The format [text, json]
    #[arg(short, long, env = "SPINWAY_OUTPUT", value_name = "FORMAT[=FILE]", default_value = "text")]
    output: Target,
    #[command(flatten)]
    place: Place,
}

/// Shows the history.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let environment = arguments.place.find().await?;
    let wanted = |parent: &&Parent| arguments.tenant.as_ref().is_none_or(|tenant| *tenant == parent.partition);
    let parents: Vec<&Parent> = environment.parents.iter().filter(wanted).collect();
    let text = match arguments.output.format {
        Format::Text => text(&parents),
        Format::Json => {
            let partitions: serde_json::Map<String, serde_json::Value> = parents
                .iter()
                .map(|p| (p.partition.clone(), json!({"history": p.state.history, "stops": p.stops})))
                .collect();
            format!("{:#}\n", serde_json::Value::Object(partitions))
        }
        _ => return Err(Failure::usage("history is written as text or json")),
    };
    arguments.output.write(&text)?;
    Ok(0)
}

fn text(parents: &[&Parent]) -> String {
    let mut out = String::new();
    for parent in parents {
        out.push_str(&format!("{}\n", Untrusted::new(parent.partition.as_str()).terminal()));
        for stop in &parent.stops {
            out.push_str(&format!("  {}\n", crate::report::stop(stop).terminal()));
        }
        for entry in parent.state.history.iter().rev() {
            out.push_str(&line(entry));
        }
        if parent.state.history.is_empty() {
            out.push_str("  nothing was applied yet\n");
        }
    }
    out
}

fn line(entry: &Entry) -> String {
    let when = Timestamp::from_second(entry.at).unwrap_or_default();
    let revision = entry.revision.get(..10).unwrap_or("(files)");
    let counts: Vec<String> = entry.counts.iter().map(|(action, count)| format!("{count} {action}")).collect();
    let nothing = if entry.result == "done" { "found as it was to be" } else { "nothing was changed" };
    let shown = |text: &str| Untrusted::new(text).terminal();
    let mut line = format!(
        "  {when}  {revision:<10}  {:<11} {}; {}\n",
        entry.result,
        if counts.is_empty() { nothing.to_owned() } else { counts.join(", ") },
        seconds(entry.milliseconds)
    );
    if !entry.subject.is_empty() {
        line.push_str(&format!("      {} ({})\n", shown(&entry.subject), shown(&entry.author)));
    }
    if !entry.waits.is_empty() {
        line.push_str(&format!("      not healthy: {}\n", shown(&entry.waits.join(", "))));
    }
    if !entry.superseded.is_empty() {
        let ids: Vec<&str> = entry.superseded.iter().map(|id| id.get(..10).unwrap_or(id)).take(5).collect();
        line.push_str(&format!("      overtook {}: {}\n", entry.superseded.len(), ids.join(", ")));
    }
    line
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}
