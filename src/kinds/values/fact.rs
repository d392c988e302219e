//! What a single value must be, with the API server's words for what is not.

use serde_json::Value;
use std::net::IpAddr;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                     with an alphanumeric character, at most 63";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                         start and end with an alphanumeric character";
const PREFIX: &str = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                      and must start and end with an alphanumeric character";
const NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                    alphanumeric character";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                           start and end with an alphanumeric character";
const PORT: &str = "must be a port: a number from 1 to 65535, or a name of at most 15 lower case alphanumeric characters and '-', \
                    with a letter";

/// What a value must be.
#[derive(Clone, Copy)]
pub(super) enum Fact {
    /// Anything.
    Any,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A number between two, both included.
    Between(i64, i64),
    /// A name of a DNS label (RFC 1123).
    Label,
    /// A name of a DNS subdomain (RFC 1123).
    Subdomain,
    /// A port by number or by name (RFC 6335).
    Port,
    /// As [`Fact::Port`]; 0 is the port of the Service.
    TargetPort,
    /// The name of a port of a pod (RFC 6335).
    PortName,
    /// A range of addresses.
    Cidr,
    /// An address, or `None`.
    ClusterIp,
    /// The key of a label, annotation or node.
    Key,
    /// A map of labels.
    Labels,
    /// A key of a ConfigMap or Secret.
    DataKey,
    /// A path segment: no slash, neither `.` nor `..`.
    Segment,
    /// A field of a pod that a variable may show.
    PodField,
    /// A number or a percentage, neither below zero.
    CountOrPercent,
}

impl Fact {
    /// What is wrong with a value; its type is the schema's to judge.
    pub(super) fn wrong(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::OneOf(names), Value::String(text)) => unsupported(text, names),
            (Self::Between(least, most), Value::Number(number)) => {
                outside(number.as_i64().unwrap_or_default(), least, most)
            }
            (Self::Port, Value::Number(_)) => Self::Between(1, 65_535).wrong(value),
            (Self::TargetPort, Value::Number(_)) => Self::Between(0, 65_535).wrong(value),
            (Self::CountOrPercent, Value::Number(_)) => Self::Between(0, i64::from(i32::MAX)).wrong(value),
            (Self::Labels, Value::Object(map)) => map.iter().find_map(|(key, value)| {
                wrong_key(key).or_else(|| wrong_label_value(value.as_str().unwrap_or_default()))
            }),
            (_, Value::String(text)) => self.wrong_text(text).map(|wrong| format!("Invalid value: {value}: {wrong}")),
            _ => None,
        }
    }

    fn wrong_text(self, text: &str) -> Option<String> {
        let say = |fits: bool, wrong: &str| (!fits).then(|| wrong.to_owned());
        match self {
            Self::Label => say(is_label(text), LABEL),
            Self::Subdomain => say(is_subdomain(text), SUBDOMAIN),
            Self::Port | Self::TargetPort | Self::PortName => say(is_port_name(text), PORT),
            Self::Cidr => say(is_cidr(text), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
            Self::ClusterIp => say(
                text == "None" || read_address(text).is_some(),
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            Self::DataKey => say(
                text.len() <= 253 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            ),
            Self::Segment => say(
                !matches!(text, "." | "..") && !text.contains(['/', '%']),
                "may not be '.' or '..', or contain '/' or '%'",
            ),
            Self::CountOrPercent => say(
                text.strip_suffix('%').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
                "a valid percent string must be a numeric string followed by an ending '%'",
            ),
            Self::PodField => say(is_pod_field(text), "field label not supported"),
            Self::Key => wrong_key(text),
            Self::Any | Self::OneOf(_) | Self::Between(..) | Self::Labels => None,
        }
    }
}

fn unsupported(text: &str, names: &[&str]) -> Option<String> {
    let quoted = || names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    (!names.contains(&text)).then(|| format!("Unsupported value: \"{text}\": supported values: {}", quoted()))
}

fn outside(number: i64, least: i64, most: i64) -> Option<String> {
    let wrong = if most == i64::from(i32::MAX) {
        format!("must be greater than or equal to {least}")
    } else {
        format!("must be between {least} and {most}, inclusive")
    };
    (number < least || number > most).then(|| format!("Invalid value: {number}: {wrong}"))
}

/// The fields of a pod that a variable may show (downward API).
const POD_FIELDS: [&str; 10] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.host",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

fn is_pod_field(text: &str) -> bool {
    POD_FIELDS.contains(&text) || text.starts_with("metadata.labels") || text.starts_with("metadata.annotations")
}

/// Whether a text is a DNS label (RFC 1123).
pub(super) fn is_label(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    !text.is_empty() && text.len() <= 63 && plain && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a text is a DNS subdomain (RFC 1123).
pub(crate) fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        let plain = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        !part.is_empty() && plain && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// Whether a text is the name of a port (RFC 6335 section 5.1).
fn is_port_name(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let letter = text.bytes().any(|b| b.is_ascii_lowercase());
    text.len() <= 15 && plain && letter && !text.contains("--") && !text.starts_with('-') && !text.ends_with('-')
}

/// An address, also with leading zeros, which older releases of Kubernetes take.
fn read_address(text: &str) -> Option<IpAddr> {
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let four = || text.split('.').map(plain).collect::<Vec<_>>().join(".").parse().ok();
    text.parse().ok().or_else(four)
}

/// Whether a text is an address with the length of a prefix.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Some(address) = read_address(address) else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// What is wrong with the key of a label: `[PREFIX/]NAME`.
pub(super) fn wrong_key(key: &str) -> Option<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let wrong = match prefix {
        Some("") => Some("prefix part must be non-empty"),
        Some(prefix) if !is_subdomain(prefix) => Some(PREFIX),
        _ if name.is_empty() => Some("name part must be non-empty"),
        _ if name.len() > 63 => Some("name part must be no more than 63 bytes"),
        _ if !is_qualified(name) => Some(NAME),
        _ => None,
    };
    wrong.map(str::to_owned)
}

/// What is wrong with the value of a label.
pub(super) fn wrong_label_value(value: &str) -> Option<String> {
    let wrong = match value {
        "" => None,
        long if long.len() > 63 => Some("must be no more than 63 bytes"),
        odd if !is_qualified(odd) => Some(LABEL_VALUE),
        _ => None,
    };
    wrong.map(str::to_owned)
}

fn is_qualified(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    plain && ends(name.chars().next()) && ends(name.chars().last())
}
