//! Findings as SARIF 2.1.0 (OASIS), for code scanning.

use super::{Place, Report};
use crate::check::{CHECKS, Check, fingerprint};
use crate::object::Severity;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The findings, with the pages of the checks that found them.
pub fn sarif(report: &Report) -> Value {
    let ids: BTreeSet<&str> = report.diagnostics.iter().map(|finding| finding.id.as_ref()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let rules: Vec<Value> = ids.iter().map(|id| rule(id)).collect();
    let results: Vec<Value> = report
        .diagnostics
        .iter()
        .map(|finding| {
            let help = finding.help.as_ref().map(|help| format!(" {}", help.sarif())).unwrap_or_default();
            let message = format!("{}{help}", finding.message.sarif());
            let file = finding.place.as_ref().map_or("", |place| place.file.raw());
            // The same mistake in a file that is edited elsewhere stays the same finding.
            let identity = fingerprint(&finding.id, file, finding.message.raw());
            let mut result = json!({
                "ruleId": finding.id,
                "ruleIndex": ids.iter().position(|id| *id == finding.id),
                "level": level(finding.severity),
                "message": {"text": message},
                "locations": finding.place.iter().map(location).collect::<Vec<_>>(),
                "partialFingerprints": {"spinway/v1": identity},
            });
            if let Some(related) = &finding.related {
                result["relatedLocations"] = json!([location(related)]);
            }
            result
        })
        .collect();
    let driver = json!({
        "name": "spinway",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    })
}

fn rule(id: &str) -> Value {
    match CHECKS.iter().find(|check| check.id == id) {
        Some(Check { name, what, why, remedy, severity, .. }) => json!({
            "id": id,
            "name": name,
            "shortDescription": {"text": what},
            "fullDescription": {"text": why},
            "help": {"text": remedy},
            "defaultConfiguration": {"level": level(*severity)},
        }),
        None => json!({"id": id}),
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn location(place: &Place) -> Value {
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(place.file.raw()), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": place.line, "startColumn": place.column},
    }})
}

/// A path as a relative reference (RFC 3986 §4.2).
fn uri(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
