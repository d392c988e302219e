//! Findings with the source line they are about.

use crate::check;
use crate::desired::{Tree, yaml};
use crate::object::{Diagnostic, Origin, Severity, Untrusted};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most findings that are printed.
const MAX_SHOWN: usize = 200;

/// All findings as text, each with its place, the line in the file and what to do next.
pub fn diagnostics_text(diagnostics: &[Diagnostic], tree: &Tree, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(100);
    let mut out = String::new();
    let mut secret = BTreeMap::new();
    let hidden = diagnostics.iter().filter(|diagnostic| !check::is_shown(diagnostic));
    secret.extend(hidden.filter_map(|diagnostic| Some((diagnostic.origin.as_ref()?.file.as_ref(), true))));
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        for origin in diagnostic.origin.iter().chain(diagnostic.related.as_ref().map(|(origin, _)| origin)) {
            let file = origin.file.as_ref();
            secret.entry(file).or_insert_with(|| holds_secret(tree.text(file).unwrap_or_default()));
        }
        out.push_str(&one(diagnostic, tree, &secret, &renderer));
        out.push_str("\n\n");
    }
    if diagnostics.len() > MAX_SHOWN {
        out.push_str(&format!("and {} more findings\n", diagnostics.len() - MAX_SHOWN));
    }
    out
}

fn one(diagnostic: &Diagnostic, tree: &Tree, secret: &BTreeMap<&str, bool>, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = diagnostic.message.terminal();
    let primary = diagnostic.origin.as_ref().map(|o| Excerpt::of(o, tree, secret));
    let related = diagnostic.related.as_ref().map(|(o, what)| (Excerpt::of(o, tree, secret), *what));
    let help = diagnostic.help.as_ref().map(Untrusted::terminal);
    let mut group = Group::with_title(level.primary_title(title.as_str()).id(diagnostic.id));
    if let Some(excerpt) = &primary {
        group = group.element(excerpt.snippet(AnnotationKind::Primary, None));
    }
    if let Some((excerpt, what)) = &related {
        group = group.element(excerpt.snippet(AnnotationKind::Context, Some(what)));
    }
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// Whether a file holds a Secret, also inside of lists; where it cannot be parsed, whether it might.
fn holds_secret(text: &str) -> bool {
    let (documents, found) = yaml::read(&Arc::from(""), text);
    let broken = found.iter().any(|d| d.severity == Severity::Error);
    documents.iter().any(|d| is_secret(&d.value)) || broken && text.contains("Secret")
}

fn is_secret(value: &Value) -> bool {
    let items = value.get("items").and_then(Value::as_array);
    // A Patch of a Secret has its values too, and one that names no kind may have.
    let patched = value.pointer("/spec/target").map(|target| target.get("kind").is_none_or(|kind| kind == "Secret"));
    let is_patch = value.get("kind").is_some_and(|kind| kind == "Patch");
    value.get("kind").is_some_and(|kind| kind == "Secret")
        || is_patch && patched.unwrap_or(true)
        || items.is_some_and(|items| items.iter().any(is_secret))
}

/// One line of a file.
struct Excerpt {
    path: String,
    line: String,
    number: usize,
    start: usize,
    end: usize,
}

impl Excerpt {
    fn of(origin: &Origin, tree: &Tree, secret: &BTreeMap<&str, bool>) -> Self {
        let text = tree.text(&origin.file).unwrap_or_default();
        let raw = text.lines().nth(origin.position.line.saturating_sub(1)).unwrap_or_default();
        // Of a file that holds a Secret only the names of fields are shown.
        let visible = if secret.get(origin.file.as_ref()) != Some(&false) {
            format!(
                "{}: (not shown: the file holds secret values)",
                raw.split(':').next().filter(|_| raw.contains(':')).unwrap_or_default()
            )
        } else {
            raw.to_owned()
        };
        let raw = visible.as_str();
        let before: String = raw.chars().take(origin.position.column.saturating_sub(1)).collect();
        let line = Untrusted::new(raw).terminal();
        let start = Untrusted::new(before).terminal().len().min(line.len());
        let start = if line.is_char_boundary(start) { start } else { 0 };
        let word =
            line[start..].find([' ', ':', ',', '}', ']']).filter(|length| *length > 0).unwrap_or(line.len() - start);
        // A long run without a break is pointed at where it begins.
        let end = line[start..].char_indices().map(|(at, _)| start + at).nth(word.min(40)).unwrap_or(start + word);
        Self { path: Untrusted::new(origin.file.as_ref()).terminal(), line, number: origin.position.line, start, end }
    }

    fn snippet<'a>(
        &'a self,
        kind: AnnotationKind,
        label: Option<&'a str>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let annotation = kind.span(self.start..self.end);
        let annotation = match label {
            Some(label) => annotation.label(label),
            None => annotation,
        };
        Snippet::source(self.line.as_str()).line_start(self.number).path(self.path.as_str()).annotation(annotation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, read};

    #[test]
    fn a_finding_shows_its_line() {
        let text =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\ndata:\n  x: \"1\"\n  x: \"2\"\n";
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into());
        let mut found = read(&tree, None).unwrap_or_default().diagnostics;
        found.retain(|d| d.id == "yaml-duplicate-key");
        insta::assert_snapshot!(diagnostics_text(&found, &tree, false), @r#"
        error[yaml-duplicate-key]: The key `x` stands twice in one mapping.
         --> a.yaml:6:3
          |
        6 |   x: "2"
          |   ^
          |
         ::: a.yaml:5:3
          |
        5 |   x: "1"
          |   - first here
          |
          = help: Keep one of them.
        "#);
    }

    #[test]
    fn a_file_that_holds_a_secret_shows_names_only() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\ndata: {x: hush, x: hush}\n";
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into());
        let found = read(&tree, None).unwrap_or_default().diagnostics;
        let shown = diagnostics_text(&found, &tree, false);
        assert!(
            shown.contains("a.yaml:4:") && shown.contains("data: (not shown") && !shown.contains("hush"),
            "{shown}"
        );
    }
}
