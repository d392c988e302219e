//! BackendTLSPolicy.

use super::{Findings, Rule, items, rule, text, union};
use serde_json::Value;

pub(super) const RULES: &[Rule] = &[
    rule(&["spec.targetRefs"], targets),
    Rule {
        at: &["spec.validation"],
        holds: |place| !(place.is_experimental() && place.is_at_least(7)),
        judge: |node, findings| {
            authorities((!items(node, "caCertificateRefs").is_empty(), !text(node, WELL_KNOWN).is_empty()), findings);
        },
    },
    Rule {
        at: &["spec.validation"],
        holds: |place| place.is_experimental() && place.is_at_least(7),
        judge: |node, findings| {
            authorities((node.get("caCertificateRefs").is_some(), node.get(WELL_KNOWN).is_some()), findings);
        },
    },
    rule(&["spec.validation.subjectAltNames[]"], alternative),
];

const WELL_KNOWN: &str = "wellKnownCACertificates";

fn targets(list: &Value, findings: &mut Findings) {
    let target = |reference: &'_ Value| ["group", "kind", "name"].map(|field| text(reference, field).to_owned());
    let mut known: Vec<&Value> = Vec::new();
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        let section = text(item, "sectionName");
        let same: Vec<&str> = known
            .iter()
            .filter(|other| target(other) == target(item))
            .map(|other| text(other, "sectionName"))
            .collect();
        let help = "Each of several references to one Service needs a `sectionName` of its own, the name of a port.";
        if same.contains(&section) {
            let message = format!("Duplicate value: `{}` is referenced twice", text(item, "name"));
            findings.say(&format!("/{index}"), message, help);
        } else if same.iter().any(|other| other.is_empty() != section.is_empty()) {
            let message = format!("Invalid value: `{}` is referenced as a whole and by a port", text(item, "name"));
            findings.say(&format!("/{index}"), message, help);
        }
        known.push(item);
    }
}

fn authorities((own, well_known): (bool, bool), findings: &mut Findings) {
    let help = "Write `caCertificateRefs: [{group: \"\", kind: ConfigMap, name: NAME}]`, or `wellKnownCACertificates: System`.";
    match (own, well_known) {
        (false, false) => {
            let message = "Required value: `caCertificateRefs` or `wellKnownCACertificates` must be set";
            findings.say("", message, help);
        }
        (true, true) => {
            let message = "Invalid value: `caCertificateRefs` and `wellKnownCACertificates` must not be set together";
            findings.say("", message, help);
        }
        _ => {}
    }
}

/// An empty text counts as none here.
fn alternative(name: &Value, findings: &mut Findings) {
    let mut name = name.clone();
    if let Some(map) = name.as_object_mut() {
        map.retain(|_, value| value != "");
    }
    union(&name, "type", &[("Hostname", "hostname"), ("URI", "uri")], findings);
}
