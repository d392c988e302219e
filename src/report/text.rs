//! The report as text for people, 80 columns wide where names allow.

use super::{FactRow, FieldRow, Name, Report, Row};
use crate::kinds::{Fact, Verdict};
use crate::live::Age;
use crate::object::Untrusted;
use crate::plan::{Action, Cause, StepKind};
use anstyle::{AnsiColor, Style};
use serde_json::Value;
use similar::TextDiff;
use std::time::Duration;

/// The most characters of a value that are shown on a line.
const VALUE_WIDTH: usize = 60;

/// Renders a report. With `details` also what is unchanged.
pub fn text(report: &Report, colour: bool, details: bool) -> String {
    let mut out = Writer { out: String::new(), colour, whole: details };
    match report.verb.as_ref() {
        "status" => out.status(report, details),
        "drift" => out.drift(report),
        _ => out.plan(report, details),
    }
    if let Some(cost) = cost(report) {
        out.line("");
        out.line(&cost);
    }
    out.out
}

/// What the report cost the API server, and the time it took; none without requests.
pub(super) fn cost(report: &Report) -> Option<String> {
    let all: u64 = report.requests.values().sum();
    if all == 0 {
        return None;
    }
    let verbs: Vec<String> = report.requests.iter().map(|(verb, count)| format!("{count} {verb}")).collect();
    let phases = ["read", "discover", "list", "compare", "dry-run", "apply", "wait"];
    let phases = phases.iter().filter_map(|phase| Some(format!("{phase} {:.2}", report.seconds.get(*phase)?)));
    let phases: Vec<String> = phases.collect();
    let mut text = format!("{all} requests: {}; {} received.", verbs.join(", "), amount(report.bytes.received));
    if !phases.is_empty() {
        text.push_str(&format!("\nSeconds: {}.", phases.join(", ")));
    }
    Some(text)
}

fn amount(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

struct Writer {
    out: String,
    colour: bool,
    /// Whether values are shown whole.
    whole: bool,
}

/// How old a snapshot is, in words.
pub(super) fn age_text(age: &Age, shown: fn(&Untrusted) -> String) -> String {
    let old = match age.hours {
        Some(_) if age.stale => "over 24 hours old: no approval is issued".to_owned(),
        Some(0) => "less than an hour old".to_owned(),
        Some(1) => "1 hour old".to_owned(),
        Some(hours) => format!("{hours} hours old"),
        None => "of an unknown age: no approval is issued".to_owned(),
    };
    format!("Live state: a snapshot of {}, {old}.", shown(&age.time))
}

impl Writer {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn paint(&self, text: &str, colour: AnsiColor) -> String {
        let style = Style::new().fg_color(Some(colour.into()));
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn header(&mut self, report: &Report) {
        let environment = if report.environment.is_empty() {
            String::new()
        } else {
            format!(" of {}", Untrusted::new(report.environment.as_str()).terminal())
        };
        let revision =
            report.revision.as_ref().map(|r| format!(" at {} {}", &r.id[..r.id.len().min(10)], r.subject.terminal()));
        let blocked = all_blocked(report).map(|text| format!(": {text}")).unwrap_or_default();
        self.line(&format!("{}{environment}{}{blocked}", report.verb, revision.unwrap_or_default()));
        for notice in &report.notices {
            self.line(&notice.terminal());
        }
        if let Some(age) = &report.snapshot {
            self.line(&age_text(age, Untrusted::terminal));
        }
        self.line("");
    }

    fn plan(&mut self, report: &Report, details: bool) {
        self.header(report);
        // What an earlier turn wrote and is not healthy is no change of this one.
        let sick = |row: &Row| row.result.as_ref().is_some_and(|result| result.raw() != "done");
        let is_shown = |row: &Row| row.action != Action::Unchanged || !row.because.is_empty() || sick(row);
        for row in report.changes.iter().filter(|row| details || is_shown(row)) {
            self.row(row);
        }
        let unchanged = report.summary.get(&Action::Unchanged).copied().unwrap_or_default();
        if !details && unchanged > 0 {
            self.line(&format!("= {unchanged} unchanged"));
        }
        self.line("");
        let counts: Vec<String> = Action::ALL
            .iter()
            .filter_map(|action| Some((action, report.summary.get(action).copied().filter(|n| *n > 0)?)))
            .map(|(action, count)| format!("{count} {}", word(*action)))
            .collect();
        self.line(&if counts.is_empty() {
            "Nothing is declared.".to_owned()
        } else {
            format!("{}.", counts.join(", "))
        });
        self.destruction(report);
        if let Some(refused) = &report.refused {
            let message = self.paint(&format!("Refused: {}", refused.message.terminal()), AnsiColor::Red);
            self.line(&message);
            self.line(&refused.help);
        }
        if !report.digest.is_empty() {
            self.line(&format!("Plan {}", report.digest));
        }
    }

    fn destruction(&mut self, report: &Report) {
        if report.destruction.objects.is_empty() || report.approved {
            return;
        }
        self.line("");
        if let Some(why) = no_digest(report) {
            return self.line(&why);
        }
        self.line("What is held (?) waits for approval; give to `spinway apply`:");
        self.line(&format!("  --approve {}", report.destruction.digest));
    }

    fn row(&mut self, row: &Row) {
        let colour = colour(row.action);
        let place =
            row.origin.as_ref().map(|p| format!("{}:{}:{}", p.file.terminal(), p.line, p.column)).unwrap_or_default();
        let head = format!("{} {:<9} {}", row.action.sign(), word_of(row), shown(&row.object));
        let padded = format!("{head:<44}");
        let painted = self.paint(&padded, colour);
        self.line(&format!("{painted} {place}"));
        for because in &row.because {
            self.line(&format!("      {}", because.terminal()));
        }
        if let Some(breaks) = &row.breaks {
            self.line(&format!("      break: {}", breaks.terminal()));
        }
        if let Some(why) = &row.irreversible {
            self.line(&format!("      cannot be undone: {}", why.terminal()));
        }
        if row.steps.len() > 1 {
            let steps: Vec<&str> = row.steps.iter().map(|s| step(*s)).collect();
            self.line(&format!("      in steps: {}", steps.join(", then ")));
        }
        if !row.needs.is_empty() {
            let needs: Vec<String> = row.needs.iter().map(shown).collect();
            self.line(&format!("      after {}", needs.join(", ")));
        }
        for fact in &row.facts {
            self.line(&format!(
                "      {} {}",
                fact_word(fact.what),
                fact_values(fact, self.whole, Untrusted::terminal)
            ));
        }
        for field in &row.fields {
            self.field(field);
        }
        if let Some(result) = row.result.as_ref().filter(|r| r.raw() != "done") {
            let text = self.paint(&format!("      {}", result.terminal()), AnsiColor::Red);
            self.line(&text);
        }
    }

    fn field(&mut self, field: &FieldRow) {
        self.line(&format!("      {}", field.path.terminal()));
        if field.cause != Cause::Pending {
            self.line(&format!("        {}: {}", cause_word(field.cause), writer(field)));
        }
        if let (Some(Value::String(before)), Some(Value::String(after))) = (&field.before, &field.after)
            && (before.lines().count() > 1 || after.lines().count() > 1)
        {
            return self.lines(before, after);
        }
        let shown = |value: &Option<Value>| value.as_ref().map(one_line);
        let (mut before, mut after) = (shown(&field.before), shown(&field.after));
        if !self.whole {
            let from = before.as_ref().zip(after.as_ref()).map_or(0, |(before, after)| from_difference(before, after));
            [&mut before, &mut after].into_iter().flatten().for_each(|text| *text = short(text, from));
        }
        for (sign, value, colour) in [('-', before, AnsiColor::Red), ('+', after, AnsiColor::Green)] {
            if let Some(value) = value {
                let text = self.paint(&format!("        {sign} {value}"), colour);
                self.line(&text);
            }
        }
    }

    /// Texts of several lines as a difference of lines.
    fn lines(&mut self, before: &str, after: &str) {
        let diff = TextDiff::configure().timeout(Duration::from_millis(50)).diff_lines(before, after);
        let text = diff.unified_diff().context_radius(1).to_string();
        for line in text.lines().take(40) {
            let colour = match line.as_bytes().first() {
                Some(b'+') => AnsiColor::Green,
                Some(b'-') => AnsiColor::Red,
                _ => AnsiColor::White,
            };
            let line = self.paint(&format!("        {}", Untrusted::new(line).terminal()), colour);
            self.line(&line);
        }
    }

    fn drift(&mut self, report: &Report) {
        self.header(report);
        if report.changes.is_empty() {
            self.line("No drift: every declared field is as it was applied.");
        }
        for row in &report.changes {
            self.line(&shown(&row.object));
            if row.removed > 0 {
                self.line(&format!("      {}", super::sentence::removed(row.removed).terminal()));
            }
            for field in &row.fields {
                if field.cause == Cause::Missing {
                    self.line("      is gone (writer not recorded)");
                } else {
                    self.field(field);
                }
            }
        }
    }

    fn status(&mut self, report: &Report, details: bool) {
        self.header(report);
        let mut counts = std::collections::BTreeMap::new();
        for row in &report.health {
            *counts.entry(row.verdict).or_insert(0_usize) += 1;
            if !details && row.verdict == Verdict::Current && row.warning.is_none() {
                continue;
            }
            let colour = match row.verdict {
                Verdict::Current => AnsiColor::Green,
                Verdict::Failed | Verdict::Missing => AnsiColor::Red,
                _ => AnsiColor::Yellow,
            };
            let verdict = self.paint(&format!("{:<12}", verdict(row.verdict)), colour);
            let text = format!("{verdict} {}  {}", shown(&row.object), row.reason.terminal());
            self.line(&text);
            for message in
                [Some(&row.message), row.warning.as_ref()].into_iter().flatten().filter(|m| !m.raw().is_empty())
            {
                self.line(&format!("      {}", message.terminal()));
            }
        }
        self.line("");
        let counts: Vec<String> = counts.iter().map(|(v, count)| format!("{count} {}", verdict(*v))).collect();
        self.line(&if counts.is_empty() {
            "Nothing is declared.".to_owned()
        } else {
            format!("{}.", counts.join(", "))
        });
    }
}

/// Who wrote a field, in words.
pub(super) fn writer(field: &FieldRow) -> String {
    let Some(manager) = &field.manager else { return "writer not recorded".to_owned() };
    let operation = field.operation.map(|o| format!(" by {o:?}")).unwrap_or_default();
    let time =
        field.time.as_ref().map(|t| format!(" at {}", Untrusted::new(t.as_str()).terminal())).unwrap_or_default();
    format!("{}{operation}{time}", manager.terminal())
}

/// `Kind NAMESPACE/NAME`.
pub(super) fn shown(name: &Name) -> String {
    let namespace = name.namespace.as_ref().map(|n| format!("{n}/")).unwrap_or_default();
    format!(
        "{} {}{}",
        Untrusted::new(name.kind.as_str()).terminal(),
        Untrusted::new(namespace).terminal(),
        name.name.terminal()
    )
}

/// Why a report has no digest for what is held, if so.
pub(super) fn no_digest(report: &Report) -> Option<String> {
    let held = report.destruction.objects.len();
    let needs = if held == 1 { "1 change needs".to_owned() } else { format!("{held} changes need") };
    let how = match &report.snapshot {
        _ if !report.destruction.digest.is_empty() => return None,
        Some(_) => "Take a new snapshot to get an approval digest.",
        None => "A plan of a cluster or of a snapshot has the digest to approve with.",
    };
    Some(format!("{needs} approval (marked ?). {how}"))
}

/// That nothing of a plan can be done, if so.
pub(super) fn all_blocked(report: &Report) -> Option<&'static str> {
    report.is_all_blocked().then_some("every change is blocked")
}

pub(super) fn fact_word(fact: Fact) -> &'static str {
    match fact {
        Fact::Host => "host",
        Fact::Path => "path",
        Fact::Port => "port",
        Fact::Image => "image",
    }
}

/// So many values of a fact are shown.
const FACT_VALUES: usize = 8;

/// The values of a fact, the first of them unless all are asked for.
pub(super) fn fact_values(fact: &FactRow, all: bool, shown: fn(&Untrusted) -> String) -> String {
    let most = if all { fact.values.len() } else { FACT_VALUES };
    let texts: Vec<String> = fact.values.iter().take(most).map(shown).collect();
    let left = fact.values.len().saturating_sub(most);
    let more = if left > 0 { format!(" and {left} more") } else { String::new() };
    texts.join(", ") + &more
}

fn one_line(value: &Value) -> String {
    Untrusted::new(value.as_str().map_or_else(|| value.to_string(), str::to_owned)).terminal()
}

/// The character from which two texts are shown when they are too long: a little before their first difference, where the
/// beginning alone would look the same.
fn from_difference(before: &str, after: &str) -> usize {
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    if same < VALUE_WIDTH { 0 } else { same - VALUE_WIDTH / 3 }
}

/// A part of a text that fits on a line.
fn short(text: &str, from: usize) -> String {
    let part: String = text.chars().skip(from).take(VALUE_WIDTH).collect();
    let rest = text.chars().count() > from + VALUE_WIDTH;
    format!("{}{part}{}", if from > 0 { "..." } else { "" }, if rest { "..." } else { "" })
}

pub(super) fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Pending => "pending",
        Cause::Drift => "drift",
        Cause::Unowned => "unowned",
        Cause::Missing => "missing",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Current => "current",
        Verdict::Progressing => "progressing",
        Verdict::Failed => "failed",
        Verdict::Terminating => "terminating",
        Verdict::Unknown => "unknown",
        Verdict::Missing => "missing",
    }
}

fn step(step: StepKind) -> &'static str {
    match step {
        StepKind::Expand => "expand",
        StepKind::Set => "set",
        StepKind::Contract => "contract",
        StepKind::Delete => "delete",
        StepKind::Replace => "replace",
    }
}

fn word_of(row: &Row) -> String {
    let verb = |action: Action| match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Adopt => "adopt",
        Action::Unchanged => "unchanged",
        Action::Blocked => "blocked",
        Action::Held => "held",
    };
    verb(row.action).to_owned()
}

/// The action in a sentence that counts.
pub(super) fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "to create",
        Action::Update => "to update",
        Action::Replace => "to replace",
        Action::Delete => "to delete",
        Action::Adopt => "to adopt",
        Action::Unchanged => "unchanged",
        Action::Blocked => "blocked",
        Action::Held => "held",
    }
}

fn colour(action: Action) -> AnsiColor {
    match action {
        Action::Create | Action::Adopt => AnsiColor::Green,
        Action::Update => AnsiColor::Yellow,
        Action::Replace | Action::Delete | Action::Blocked => AnsiColor::Red,
        Action::Held => AnsiColor::Magenta,
        Action::Unchanged => AnsiColor::White,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_show_where_they_differ() {
        let long = |end: &str| format!("{}{end}", "x".repeat(100));
        let (before, after) = (long("a"), long("b"));
        let from = from_difference(&before, &after);
        assert_eq!(short(&before, from), format!("...{}a", "x".repeat(20)));
        assert_eq!(short(&after, from), format!("...{}b", "x".repeat(20)));
        let from = from_difference(&long("a"), "y");
        assert_eq!((from, short(&before, from)), (0, format!("{}...", "x".repeat(VALUE_WIDTH))));
        assert_eq!(short("a", from_difference("a", "b")), "a");
    }

    #[test]
    fn of_many_values_the_first_are_shown() {
        let values = (0..10).map(|n| Untrusted::new(format!("/{n}"))).collect();
        let fact = FactRow { what: Fact::Path, values };
        assert_eq!(fact_values(&fact, false, Untrusted::terminal), "/0, /1, /2, /3, /4, /5, /6, /7 and 2 more");
        assert!(fact_values(&fact, true, Untrusted::terminal).ends_with("/8, /9"));
    }
}
