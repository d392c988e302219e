//! The report as Markdown for a review: a summary, then each object folded. Foreign text stands in `<code>` only.

use super::text::{cause_word, cost, shown, word, writer};
use super::{Report, Row};
use crate::kinds::Verdict;
use crate::object::Untrusted;
use crate::plan::Action;
use serde_json::Value;
use std::fmt::Write as _;

/// Renders a report.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let environment =
        if report.environment.is_empty() { String::new() } else { format!(" of {}", code(&report.environment)) };
    let _ = writeln!(out, "## spinway {}{environment}\n", report.verb);
    if let Some(refused) = &report.refused {
        let _ = writeln!(out, "**Refused:** {}. {}\n", refused.message.markdown(), refused.help);
    }
    if report.verb == "status" {
        health(report, &mut out);
    } else {
        changes(report, &mut out);
    }
    if !report.diagnostics.is_empty() {
        let _ = writeln!(out, "\n| | Finding | Where |\n|---|---|---|");
        for finding in &report.diagnostics {
            let place = finding.place.as_ref().map(|p| format!("{}:{}:{}", p.file.raw(), p.line, p.column));
            let place = place.map(|p| code(&p)).unwrap_or_default();
            let severity = format!("{:?}", finding.severity).to_lowercase();
            let _ = writeln!(out, "| {severity} | {} | {place} |", finding.message.markdown());
        }
    }
    if let Some(cost) = cost(report) {
        let _ = writeln!(out, "\n{}", cost.replace('\n', " "));
    }
    out
}

fn code(text: &str) -> String {
    Untrusted::new(text).markdown()
}

fn changes(report: &Report, out: &mut String) {
    let counts: Vec<String> = Action::ALL
        .iter()
        .filter_map(|action| Some((action, report.summary.get(action).copied().filter(|n| *n > 0)?)))
        .map(|(action, count)| format!("{count} {}", word(*action)))
        .collect();
    let _ = writeln!(
        out,
        "{}\n",
        if counts.is_empty() { "No difference.".to_owned() } else { format!("{}.", counts.join(", ")) }
    );
    for row in report.changes.iter().filter(|r| r.action != Action::Unchanged) {
        change(row, out);
    }
    if !report.destruction.objects.is_empty() && !report.approved {
        let _ = writeln!(out, "What is held waits for approval of {}.\n", code(&report.destruction.digest));
    }
}

fn change(row: &Row, out: &mut String) {
    let action = format!("{:?}", row.action).to_lowercase();
    let _ = writeln!(out, "<details><summary>{} {action} {}</summary>\n", row.action.sign(), code(&shown(&row.object)));
    for because in &row.because {
        let _ = writeln!(out, "- {}", because.markdown());
    }
    if !row.fields.is_empty() {
        let _ = writeln!(out, "\n| Field | Before | After | Cause |\n|---|---|---|---|");
        for field in &row.fields {
            let cell = |value: &Option<Value>| {
                value
                    .as_ref()
                    .map(|v| code(&v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
                    .unwrap_or_default()
            };
            let who = if field.manager.is_some() { format!(" {}", code(&writer(field))) } else { String::new() };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {}{who} |",
                field.path.markdown(),
                cell(&field.before),
                cell(&field.after),
                cause_word(field.cause)
            );
        }
    }
    let _ = writeln!(out, "\n</details>\n");
}

fn health(report: &Report, out: &mut String) {
    let _ = writeln!(out, "| Object | Verdict | Reason |\n|---|---|---|");
    for row in report.health.iter().filter(|r| r.verdict != Verdict::Current || r.warning.is_some()) {
        let verdict = format!("{:?}", row.verdict).to_lowercase();
        let _ = writeln!(
            out,
            "| {} | {verdict} | {} {} |",
            code(&shown(&row.object)),
            row.reason.markdown(),
            row.message.markdown()
        );
    }
}
