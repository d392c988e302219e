//! The report as Markdown for a review: a summary, then each object folded. Foreign text stands in `<code>` only.

use super::text::{age_text, all_blocked, cause_word, cost, fact_values, fact_word, no_digest, shown, word, writer};
use super::{Report, Row};
use crate::kinds::Verdict;
use crate::object::Untrusted;
use crate::plan::Action;
use serde_json::Value;
use std::fmt::Write as _;

/// The most findings of a report that must be short.
const MOST_FINDINGS: usize = 50;

/// Renders a report within so many characters: what is too much goes piece by piece, the details of objects first, then
/// reasons, and whole objects last.
pub fn markdown_within(report: &Report, limit: usize) -> String {
    let fits = |text: &String| text.chars().count() <= limit;
    let whole = markdown(report);
    if fits(&whole) {
        return whole;
    }
    let mut short = report.clone();
    short.health.clear();
    for row in &mut short.changes {
        let gone = row.fields.len();
        if gone > 0 {
            row.fields.clear();
            let noun = if gone == 1 { "field differs" } else { "fields differ" };
            row.because.push(Untrusted::new(format!("{gone} {noun}; they are in the full report.")));
        }
    }
    let text = markdown(&short);
    if fits(&text) {
        return text;
    }
    short.changes.iter_mut().for_each(|row| {
        row.because.clear();
        row.facts.clear();
    });
    let findings = short.diagnostics.len();
    short.diagnostics.truncate(MOST_FINDINGS);
    loop {
        let left = report.changes.len() - short.changes.len();
        let mut text = markdown(&short);
        if left > 0 || findings > short.diagnostics.len() {
            let _ = writeln!(
                text,
                "\n{left} more objects and {} more findings are in the full report.",
                findings - short.diagnostics.len()
            );
        }
        if fits(&text) || short.changes.is_empty() && short.diagnostics.is_empty() {
            return text;
        }
        if short.changes.is_empty() {
            short.diagnostics.pop();
        }
        // What is unchanged is not shown; of the rest the last goes first.
        let keep = short.changes.len() * 9 / 10;
        short.changes.truncate(keep);
    }
}

/// Renders a report.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let environment =
        if report.environment.is_empty() { String::new() } else { format!(" of {}", code(&report.environment)) };
    let blocked = all_blocked(report).map(|text| format!(": {text}")).unwrap_or_default();
    let _ = writeln!(out, "## spinway {}{environment}{blocked}\n", report.verb);
    for notice in &report.notices {
        let _ = writeln!(out, "> [!WARNING]\n> {}\n", notice.markdown());
    }
    if let Some(age) = &report.snapshot {
        let _ = writeln!(out, "{}\n", age_text(age, Untrusted::markdown));
    }
    if let Some(refused) = &report.refused {
        let _ = writeln!(out, "**Refused:** {}. {}\n", refused.message.markdown(), refused.help);
    }
    match report.verb.as_ref() {
        "status" => health(report, &mut out),
        "check" if report.diagnostics.is_empty() => out.push_str("Nothing found.\n"),
        "check" => {}
        _ => changes(report, &mut out),
    }
    if !report.diagnostics.is_empty() {
        let _ = writeln!(out, "\n| | Finding | Where |\n|---|---|---|");
        for finding in &report.diagnostics {
            let place = finding.place.as_ref().map(|p| format!("{}:{}:{}", p.file.raw(), p.line, p.column));
            let place = place.map(|p| code(&p)).unwrap_or_default();
            let severity = format!("{:?}", finding.severity).to_lowercase();
            let help = finding.help.as_ref().filter(|_| report.verb == "check");
            let help = help.map(|help| format!("<br>{}", help.markdown())).unwrap_or_default();
            let _ = writeln!(out, "| {severity} {} | {}{help} | {place} |", finding.id, finding.message.markdown());
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
    for row in report.changes.iter().filter(|r| r.action != Action::Unchanged || !r.left.is_empty()) {
        change(row, out);
    }
    if report.destruction.objects.is_empty() || report.approved {
    } else if let Some(why) = no_digest(report) {
        let _ = writeln!(out, "{why}\n");
    } else {
        let _ = writeln!(out, "What is held waits for approval of {}.\n", code(&report.destruction.digest));
    }
}

fn change(row: &Row, out: &mut String) {
    let action = format!("{:?}", row.action).to_lowercase();
    let _ = writeln!(out, "<details><summary>{} {action} {}</summary>\n", row.action.sign(), code(&shown(&row.object)));
    for because in &row.because {
        let _ = writeln!(out, "- {}", because.markdown());
    }
    if let Some(breaks) = &row.breaks {
        let _ = writeln!(out, "- **break:** {}", breaks.markdown());
    }
    if let Some(why) = &row.irreversible {
        let _ = writeln!(out, "- cannot be undone: {}", why.markdown());
    }
    for fact in &row.facts {
        let values = fact_values(fact, false, Untrusted::code_span);
        let _ = writeln!(out, "- {} {values}", fact_word(fact.what));
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
