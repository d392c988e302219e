//! Values as YAML that reads back as they are.

use crate::desired::yaml;
use serde_json::json;
use std::sync::Arc;

/// A text within a flow collection: plain where it reads as itself by YAML 1.1 and 1.2, else in quotes.
pub(super) fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// In double quotes, with escapes for what a reader would not see or YAML would not take.
fn quoted(text: &str) -> String {
    let inner = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c == ' ' || c.is_ascii_graphic() || (!c.is_ascii() && c.is_alphanumeric()) => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", inner.collect::<String>())
}

/// A list on one line.
pub(super) fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| scalar(item)).collect();
    format!("[{}]", items.join(", "))
}

fn is_plain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/@:+".contains(&b);
    if text.is_empty() || !text.bytes().all(plain) {
        return false;
    }
    let (documents, diagnostics) = yaml::read(&Arc::from("text"), &format!("[{text}]"));
    diagnostics.is_empty() && documents.first().is_some_and(|document| document.value == json!([text]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back_as_it_is() {
        for (text, expected) in [
            ("cart", "cart"),
            ("ghcr.io/acme/cart:1.8.0", "ghcr.io/acme/cart:1.8.0"),
            ("/cart", "/cart"),
            ("no", "\"no\""),
            ("y", "\"y\""),
            ("1e3", "\"1e3\""),
            ("a:", "\"a:\""),
            ("-", "\"-\""),
            ("${domain}", "\"${domain}\""),
            ("a, b", "\"a, b\""),
            ("a\"\n", "\"a\\\"\\U0000000A\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), expected, "{text}");
            let (documents, found) = yaml::read(&Arc::from("text"), &format!("{{k: {}}}", scalar(text)));
            assert_eq!((documents[0].value["k"].as_str(), found), (Some(text), Vec::new()), "{text}");
        }
    }
}
