//! Text that someone else wrote.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Text from a repository, a cluster or a server: it has no `Display`, so it can reach a terminal or a document
/// only through the encoder of that sink (design law 9). As JSON it needs none: the writer escapes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Takes text from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came, for comparison and for JSON.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// For a terminal: control characters and bidirectional marks are shown as escapes, line ends as `\n`.
    pub fn terminal(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push(' '),
                c if is_deceptive(c) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out
    }

    /// For Markdown: as HTML text in `<code>`, where neither Markdown, mentions nor tags are read.
    pub fn markdown(&self) -> String {
        let mut out = String::from("<code>");
        for c in self.terminal().chars() {
            match c {
                // A zero-width entity after these keeps hosted Git from reading mentions, references and links.
                '@' | '#' | ':' => {
                    let _ = write!(out, "&#{};", u32::from(c));
                }
                // Hosted Git makes links of `www.x` and `GH-1`, also once entities are decoded.
                '.' if ends_with(&out, "www") => out.push_str("<wbr>."),
                '-' if ends_with(&out, "gh") => out.push_str("<wbr>-"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                '`' | '|' | '*' | '_' | '[' | ']' | '!' | '~' | '\\' => {
                    let _ = write!(out, "&#{};", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push_str("</code>");
        out
    }

    /// For Markdown outside of tables: as a code span, in which it stands as it is and nothing of it is read.
    pub fn code_span(&self) -> String {
        let text = self.terminal();
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(longest + 1);
        let is_edge = |c: char| c == '`' || c == ' ';
        let pad = if text.is_empty() || text.starts_with(is_edge) || text.ends_with(is_edge) { " " } else { "" };
        format!("{fence}{pad}{text}{pad}{fence}")
    }
}

impl Untrusted {
    /// For XML, as text or within an attribute.
    pub fn xml(&self) -> String {
        let mut out = String::new();
        for c in self.terminal().chars() {
            match c {
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&apos;"),
                // Not characters of XML 1.0.
                '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
                c => out.push(c),
            }
        }
        out
    }

    /// For a workflow command of GitHub Actions, as one of its properties: it neither ends the command nor begins another.
    pub fn workflow(&self) -> String {
        self.workflow_message().replace(':', "%3A").replace(',', "%2C")
    }

    /// For a workflow command of GitHub Actions, as its message.
    pub fn workflow_message(&self) -> String {
        self.terminal().replace('%', "%25")
    }

    /// For a message of SARIF (§3.11.6), in which brackets make links.
    pub fn sarif(&self) -> String {
        self.terminal().replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
    }
}

impl<T: Into<String>> From<T> for Untrusted {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A text with lines that a runner of GitHub Actions does not take for commands, whatever they quote: it obeys `::NAME` at the
/// beginning of a line, behind blanks too, and `##[NAME]` anywhere (runner, `ActionCommand.cs`).
pub fn unobeyed(text: &str) -> String {
    let encode = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let (blank, rest) = line.split_at(start);
        let rest = match rest.strip_prefix("::") {
            Some(after) if is_command(rest) => format!("\\u{{3a}}:{after}"),
            _ => rest.to_owned(),
        };
        format!("{blank}{}", rest.replace("##[", "\\u{23}#["))
    };
    if has_command(text) { text.split_inclusive('\n').map(encode).collect() } else { text.to_owned() }
}

/// A text of YAML, in which what is not seen stands within double quotes, with that as escapes.
pub fn seen(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            _ if !is_hidden(c) => out.push(c),
            code @ ..=0xffff => {
                let _ = write!(out, "\\u{code:04x}");
            }
            code => {
                let _ = write!(out, "\\U{code:08x}");
            }
        }
    }
    out
}

/// Whether a character of a document is not seen, or changes how those around it are shown.
pub fn is_hidden(c: char) -> bool {
    !matches!(c, '\n' | '\t') && is_deceptive(c)
}

/// Whether a runner of GitHub Actions may take a line of a text for a command.
pub fn has_command(text: &str) -> bool {
    text.contains("##[") || text.lines().any(|line| is_command(line.trim_start()))
}

/// Whether a line without blanks before it may be a command. What follows `:::` and a blank has no name, and is a place in a file
/// where findings are shown.
fn is_command(line: &str) -> bool {
    line.starts_with("::") && !line.starts_with("::: ")
}

fn ends_with(text: &str, end: &str) -> bool {
    text.len() >= end.len() && text.as_bytes()[text.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

/// Characters that are not seen, or change how the text around them is shown: controls, line and paragraph separators, and what
/// Unicode 17 calls Bidi_Control and Default_Ignorable_Code_Point (DerivedCoreProperties.txt).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_never_sees_a_control_character() {
        let text = Untrusted::new("a\u{1b}[31mb\r\n\u{9b}c\u{202e}d\u{7}");
        assert_eq!(text.terminal(), "a\\u{1b}[31mb\\u{d}\\n\\u{9b}c\\u{202e}d\\u{7}");
    }

    #[test]
    fn other_sinks_read_nothing_in_it() {
        let text = Untrusted::new("</failure>\n::error::x, 100 % [a](http://t)\u{ffff}\"'");
        assert!(!text.xml().contains(['<', '>', '"', '\'', '\u{ffff}', '\n']), "{}", text.xml());
        assert!(
            !text.workflow().contains(['\n', ':', ',']) && text.workflow().contains("100 %25"),
            "{}",
            text.workflow()
        );
        assert!(text.sarif().contains("\\[a\\](http://t)"), "{}", text.sarif());
    }

    #[test]
    fn markdown_reads_nothing_in_it() {
        let text = Untrusted::new("</code> @team #1 `x` ![](http://t)");
        let shown = text.markdown();
        assert!(!shown[6..shown.len() - 7].contains(['<', '@', '`', '!', '[']), "{shown}");
        let linked = Untrusted::new("WWW.evil.example GH-1").markdown();
        assert!(!linked.contains("WWW.") && !linked.contains("GH-1"), "{linked}");
    }

    #[test]
    fn a_code_span_ends_where_its_text_ends() {
        for (text, shown) in [
            ("www.shop.example", "`www.shop.example`"),
            ("a`b", "``a`b``"),
            ("`a``", "``` `a`` ```"),
            ("", "`  `"),
            ("</code>\n@team", "`</code>\\n@team`"),
        ] {
            assert_eq!(Untrusted::new(text).code_span(), shown);
        }
    }

    #[test]
    fn a_runner_takes_no_line_for_a_command() {
        let text = "::warning::x\n  \t::add-mask::y\nsee ::this\na ##[group]\n";
        assert!(has_command(text));
        assert_eq!(unobeyed(text), "\\u{3a}:warning::x\n  \t\\u{3a}:add-mask::y\nsee ::this\na \\u{23}#[group]\n");
        assert!(!has_command("a :: b\n# [x]\n  ::: a.yaml:1:1\n"));
        assert!(has_command(":::warning::x\n"));
    }

    #[test]
    fn nothing_is_hidden_in_a_text() {
        for hidden in ["\u{2028}", "\u{2029}", "\u{ad}", "\u{e0041}", "\u{200b}", "\u{2066}", "\u{fe0f}", "\u{3164}"] {
            let shown = Untrusted::new(hidden).terminal();
            assert!(shown.is_ascii() && !shown.is_empty(), "{shown}");
        }
    }
}
