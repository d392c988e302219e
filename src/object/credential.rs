//! Texts that look like credentials, by the forms that their issuers give them so that they are found.

/// The prefix of a credential, the least length of what follows, and what it is.
const FORMS: &[(&str, usize, &str)] = &[
    ("sk_live_", 16, "a live key of Stripe"),
    ("rk_live_", 16, "a live key of Stripe"),
    ("AKIA", 16, "an access key of AWS"),
    ("ASIA", 16, "an access key of AWS"),
    ("ghp_", 30, "a token of GitHub"),
    ("gho_", 30, "a token of GitHub"),
    ("ghs_", 30, "a token of GitHub"),
    ("github_pat_", 30, "a token of GitHub"),
    ("glpat-", 16, "a token of GitLab"),
    ("xoxb-", 20, "a token of Slack"),
    ("xoxp-", 20, "a token of Slack"),
    ("xapp-", 20, "a token of Slack"),
    ("AIza", 35, "an API key of Google"),
    ("SG.", 40, "an API key of SendGrid"),
    ("npm_", 30, "a token of npm"),
    ("pypi-", 40, "a token of PyPI"),
    ("dop_v1_", 40, "a token of DigitalOcean"),
    ("shpat_", 28, "a token of Shopify"),
    ("hf_", 30, "a token of Hugging Face"),
    ("sk-ant-", 30, "an API key of Anthropic"),
    ("sk-proj-", 30, "an API key of OpenAI"),
    ("AGE-SECRET-KEY-1", 40, "a private key of age"),
];

/// Endings of names of variables that hold credentials.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "clientsecret",
    "credentials",
];

/// What a text holds that looks like a credential, if it does.
pub fn credential(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+');
    let words = text.split(|c| !is_part(c)).filter(|word| word.len() > 16);
    words.into_iter().find_map(by_form).or_else(|| has_password(text).then_some("a password in a URL"))
}

/// As [`credential`]; the name of a variable says of more values what they are.
pub fn credential_of(name: &str, value: &str) -> Option<&'static str> {
    if let Some(what) = credential(value) {
        return Some(what);
    }
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let is_password = ["password", "passwd", "passphrase"].iter().any(|ending| name.ends_with(ending));
    let is_named = NAMES.iter().any(|ending| name.ends_with(ending));
    if is_placeholder(value) || value.contains(char::is_whitespace) {
        return None;
    }
    match (is_password && value.len() >= 6, is_named && is_random(value)) {
        (true, _) => Some("a password"),
        (_, true) => Some("a credential"),
        _ => None,
    }
}

fn by_form(word: &str) -> Option<&'static str> {
    let known = FORMS.iter().find(|(prefix, least, _)| {
        word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least && rest.bytes().any(|b| b.is_ascii_digit()))
    });
    known.map(|(_, _, what)| *what).or_else(|| is_web_token(word).then_some("a JSON web token"))
}

/// Three parts of base64, the first of which is a JSON object.
fn is_web_token(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    matches!(parts.as_slice(), [head, body, mark] if head.starts_with("eyJ") && body.starts_with("eyJ") && mark.len() >= 16)
}

/// `scheme://user:password@host`.
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ', '\n']).next().unwrap_or_default();
        let password =
            authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| !password.is_empty() && !is_placeholder(password))
    })
}

/// Whether a text only stands for a value that comes from elsewhere.
fn is_placeholder(text: &str) -> bool {
    text.is_empty()
        || text.contains("${")
        || text.contains("{{")
        || text.contains("$(")
        || text.starts_with(['$', '<', '/'])
        || text.bytes().all(|b| matches!(b, b'*' | b'x' | b'X' | b'.'))
}

/// Whether a text is no word: letters of both cases with digits, or many hexadecimal digits.
fn is_random(text: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    let is_hex = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    !text.contains("://") && (text.len() >= 16 && mixed || is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together here, so that the repository itself holds none.
    fn made(prefix: &str, length: usize) -> String {
        format!("{prefix}{}", "a1B2c3D4e5".repeat(8).chars().take(length).collect::<String>())
    }

    #[test]
    fn credentials_are_known_by_their_form_wherever_they_stand() {
        for (prefix, length) in
            [("sk_live_", 24), ("AKIA", 16), ("ghp_", 36), ("glpat-", 20), ("xoxb-", 40), ("AIza", 35)]
        {
            let value = made(prefix, length);
            assert!(credential(&value).is_some(), "{prefix}");
            assert!(credential(&format!("--header=Bearer {value}\nmore")).is_some(), "{prefix}");
            assert_eq!(credential(&made(prefix, 3)), None, "{prefix}");
        }
        let token = format!("{}.{}.{}", made("eyJ", 20), made("eyJ", 40), made("", 43));
        assert_eq!(credential(&token), Some("a JSON web token"));
        assert_eq!(credential("postgres://shop:hunter2@db:5432/shop"), Some("a password in a URL"));
        assert_eq!(credential(&format!("-----BEGIN {} KEY-----\nMII\n", "RSA PRIVATE")), Some("a private key"));
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "info",
            "postgres://shop@db:5432/shop",
            "postgres://shop:${password}@db/shop",
            "https://shop.example/a:b@c",
            "sk_live_short",
            "ghp_the-prefix-of-tokens-of-github-is-this-one",
            "ghcr.io/acme/cart:1.0.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(credential(text), None, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_variable_says_what_a_value_is() {
        let random = made("", 24);
        for (name, value, expected) in [
            ("db_password", "hunter2", true),
            ("DB-PASSWORD", "", false),
            ("password", "${password}", false),
            ("password", "/run/secrets/db", false),
            ("payments_api_key", random.as_str(), true),
            ("token", "0123456789abcdef0123456789abcdef", true),
            ("token", "https://login.example/Token/v2Abc", false),
            ("secret_name", random.as_str(), false),
            ("api_key", "none", false),
            ("build", random.as_str(), false),
        ] {
            assert_eq!(credential_of(name, value).is_some(), expected, "{name} {value}");
        }
    }
}
