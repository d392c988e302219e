//! Findings with the source line they are about.

use crate::desired::Tree;
use crate::object::{Diagnostic, Origin, Severity, Untrusted};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// All findings as text, each with its place, the line in the file and what to do next.
pub fn diagnostics_text(diagnostics: &[Diagnostic], tree: &Tree, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(100);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&one(diagnostic, tree, &renderer));
        out.push_str("\n\n");
    }
    out
}

fn one(diagnostic: &Diagnostic, tree: &Tree, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = diagnostic.message.terminal();
    let primary = diagnostic.origin.as_ref().map(|o| Excerpt::of(o, tree));
    let related = diagnostic.related.as_ref().map(|(o, what)| (Excerpt::of(o, tree), *what));
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

/// One line of a file.
struct Excerpt {
    path: String,
    line: String,
    number: usize,
    start: usize,
    end: usize,
}

impl Excerpt {
    fn of(origin: &Origin, tree: &Tree) -> Self {
        let text = tree.text(&origin.file).unwrap_or_default();
        let raw = text.lines().nth(origin.position.line.saturating_sub(1)).unwrap_or_default();
        let before: String = raw.chars().take(origin.position.column.saturating_sub(1)).collect();
        let line = Untrusted::new(raw).terminal();
        let start = Untrusted::new(before).terminal().len().min(line.len());
        let word =
            line[start..].find([' ', ':', ',', '}', ']']).filter(|length| *length > 0).unwrap_or(line.len() - start);
        Self {
            path: Untrusted::new(origin.file.as_ref()).terminal(),
            line,
            number: origin.position.line,
            start,
            end: start + word,
        }
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
        let tree = Tree { entries: [("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into() };
        let found = read(&tree, None).unwrap_or_default().diagnostics;
        insta::assert_snapshot!(diagnostics_text(&found, &tree, false), @r"");
    }
}
