//! What reads the outputs of spinway, as parsers: a runner of GitHub Actions, a terminal, Markdown, XML, SARIF, Mermaid and DOT.
//! Each function returns what its reader would take for more than text.

use pulldown_cmark::{Event, Options, Parser, Tag};
use regex::Regex;
use std::sync::LazyLock;

/// What a runner takes for commands (actions/runner, `ActionCommand.TryParseV2` and `TryParse`).
pub fn commands(text: &str) -> Vec<String> {
    let lines = text.split(['\n', '\r']);
    // The name of a command stands right behind the first two colons and is a registered one (`ActionCommand.TryParseV2`), so what
    // has a third colon and a blank there has none.
    let begins = |line: &str| line.trim_start().starts_with("::") && !line.trim_start().starts_with("::: ");
    let found = lines.filter(|line| begins(line) || line.contains("##["));
    found.map(|line| format!("the command {line}")).collect()
}

/// A terminal that keeps whatever is not text.
#[derive(Default)]
struct Terminal(Vec<String>);

impl vte::Perform for Terminal {
    fn print(&mut self, c: char) {
        let hidden = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
        if hidden {
            self.0.push(format!("{c:?}"));
        }
    }
    fn execute(&mut self, byte: u8) {
        if byte != b'\n' {
            self.0.push(format!("control {byte:#x}"));
        }
    }
    fn csi_dispatch(&mut self, _: &vte::Params, _: &[u8], _: bool, action: char) {
        self.0.push(format!("CSI {action}"));
    }
    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.0.push(format!("ESC {byte}"));
    }
    fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
        self.0.push("OSC".to_owned());
    }
}

/// What a terminal obeys or hides.
pub fn in_terminal(text: &str) -> Vec<String> {
    let (mut parser, mut terminal) = (vte::Parser::new(), Terminal::default());
    parser.advance(&mut terminal, text.as_bytes());
    terminal.0
}

/// What Markdown makes of foreign text beside text in `<code>`; texts outside of it that contain `mark` are foreign.
pub fn in_markdown(text: &str, mark: &str) -> Vec<String> {
    const OURS: [&str; 10] =
        ["<code>", "</code>", "<wbr>", "<br>", "<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>"];
    static TAGS: LazyLock<Regex> = LazyLock::new(|| Regex::new("<[^>]*>").expect("a pattern"));
    let mut found = Vec::new();
    let mut code = 0_i32;
    for event in Parser::new_ext(text, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
        match event {
            Event::Start(Tag::Image { dest_url, .. } | Tag::Link { dest_url, .. }) => {
                found.push(format!("a link to {dest_url}"));
            }
            Event::InlineHtml(html) | Event::Html(html) => {
                for tag in TAGS.find_iter(&html).map(|tag| tag.as_str()) {
                    match tag {
                        "<code>" => code += 1,
                        "</code>" => code -= 1,
                        tag if OURS.contains(&tag) => {}
                        // What an upsert of a comment finds it by.
                        tag if tag.starts_with("<!-- spinway") => {}
                        tag => found.push(format!("the tag {tag}")),
                    }
                }
            }
            Event::Text(text) if code == 0 && text.contains(mark) => found.push(format!("the text {text}")),
            _ => {}
        }
    }
    if code != 0 {
        found.push("an end of <code>".to_owned());
    }
    found
}

/// Why a text is not a document of XML.
pub fn in_xml(text: &str) -> Vec<String> {
    roxmltree::Document::parse(text).err().map(|error| error.to_string()).into_iter().collect()
}

/// The messages of a SARIF log that hold a link.
pub fn in_sarif(text: &str) -> Vec<String> {
    static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(^|[^\\])\[[^\]\\]*\]\(").expect("a pattern"));
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(text).expect("SARIF");
    let results = log.runs.iter().flat_map(|run| run.results.iter().flatten());
    let messages = results.filter_map(|result| result.message.text.clone());
    messages.filter(|text| LINK.is_match(text)).collect()
}

/// The lines that are not of the grammar of our diagrams in Mermaid.
pub fn in_mermaid(text: &str) -> Vec<String> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r##"^(flowchart LR|  n\d+\["([A-Za-z0-9 ./-]|#\d+;)*"\]|  n\d+ --> n\d+)$"##).expect("a pattern")
    });
    text.lines().filter(|text| !LINE.is_match(text)).map(str::to_owned).collect()
}

/// The lines that are not of the grammar of our diagrams in DOT.
pub fn in_dot(text: &str) -> Vec<String> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^(digraph .*\{|\}|\s*(rankdir|node|edge).*;|\s*"([^"\\]|\\.)*"( -> "([^"\\]|\\.)*")?( \[label="([^"\\]|\\.)*"\])?;?)$"#).expect("a pattern")
    });
    text.lines().filter(|text| !LINE.is_match(text)).map(str::to_owned).collect()
}

/// The lines that are not one command for one finding each, with nothing of its own in it.
pub fn in_annotations(text: &str) -> Vec<String> {
    static LINE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^::(error|warning|notice) [^:\r\n]*::[^\r\n]*$|^$").expect("a pattern"));
    text.split('\n').filter(|text| !LINE.is_match(text)).map(|text| format!("{text:?}")).collect()
}
