//! Values as YAML that kubectl reads, and a runner finds no command in.

use crate::object::{has_command, is_hidden, seen};
use serde_json::Value;

/// A value as YAML; as JSON, which is YAML too, where it would be misread: by kubectl, which takes a tab that begins a block of text
/// for indentation and a line that begins as a separator for one, by a runner of GitHub Actions that prints it, or by people, who do not see all characters.
pub fn yaml(value: &Value) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    let is_separator = |line: &str| line.starts_with("---") || line.starts_with("...");
    if has_command(&text) || begins_with_tab(value) || text.lines().any(is_separator) || text.chars().any(is_hidden) {
        return seen(&format!("{value:#}\n")).replace("##[", "\\u0023#[");
    }
    text
}

/// Whether a text of several lines in it begins with a tab.
fn begins_with_tab(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\n') && text.trim_start_matches('\n').starts_with('\t'),
        Value::Array(items) => items.iter().any(begins_with_tab),
        Value::Object(map) => map.values().any(begins_with_tab),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_as_the_same_value() {
        for text in [
            "\tcc -o x\n",
            "\n\n\ta\n",
            "::add-mask::x\na\n",
            "a\n  ::x::\n",
            "## [x]\n",
            "##[x]",
            "a\nb\n",
            "a",
            "\u{200b}\u{e0041}",
        ] {
            let value = json!({"data": {"text": text}});
            let written = yaml(&value);
            let (documents, found) = crate::desired::yaml::read(&"a".into(), &written);
            assert!(found.is_empty() && !has_command(&written) && !written.contains(is_hidden), "{written}");
            assert_eq!(documents[0].value, value, "{written}");
        }
        for value in [json!("----"), json!({"----": 1}), json!({"...a": {"---": "b"}})] {
            let written = yaml(&value);
            let (documents, found) = crate::desired::yaml::read(&"a".into(), &written);
            assert!(found.is_empty() && documents.len() == 1 && documents[0].value == value, "{written}");
        }
    }
}
