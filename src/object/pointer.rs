//! JSON pointers (RFC 6901).

use std::borrow::Cow;

/// A key as a token of a JSON pointer (RFC 6901 §3).
pub fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { Cow::Owned(key.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(key) }
}

/// A token of a JSON pointer as the key that it stands for.
pub fn unescape(token: &str) -> Cow<'_, str> {
    if token.contains('~') { Cow::Owned(token.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(token) }
}

/// A JSON pointer as people write a path: with dots, and indexes in brackets.
pub fn dotted(pointer: &str) -> String {
    let mut shown = String::new();
    for token in pointer.split('/').skip(1) {
        let key = unescape(token);
        if key.bytes().all(|b| b.is_ascii_digit()) {
            shown.push_str(&format!("[{key}]"));
        } else {
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(&key);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_slashes_survive() {
        assert_eq!(escape("a/b~c"), "a~1b~0c");
        assert_eq!(dotted("/metadata/annotations/a~1b/0"), "metadata.annotations.a/b[0]");
    }
}
