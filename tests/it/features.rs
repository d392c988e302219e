//! `src/schema/features.json` is made from the conformance reports of Gateway API, which its implementations send in; with
//! `SPINWAY_REGENERATE=1` this test writes it.

use crate::control_plane::module_dir;
use serde_json::{Value, json};
use spinway::desired::yaml;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MODULE: &str = "sigs.k8s.io/gateway-api/conformance";
const VERSION: &str = "v1.7.0";

#[test]
fn the_table_of_features_is_what_the_reports_say() {
    let made = serde_json::to_string(&table(&module_dir(MODULE, VERSION).join("reports"))).expect("JSON");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/features.json");
    if std::env::var_os("SPINWAY_REGENERATE").is_some() {
        std::fs::write(path, format!("{made}\n")).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept.trim_end() == made,
        "the table is not that of {MODULE} {VERSION}: SPINWAY_REGENERATE=1 cargo test features"
    );
}

/// What one release says of the features that are not core.
#[derive(Default)]
struct Report {
    suite: String,
    yes: BTreeSet<String>,
    no: BTreeSet<String>,
}

fn table(folder: &Path) -> Value {
    let mut reports: BTreeMap<(String, Vec<u64>, String), Report> = BTreeMap::new();
    for path in files(folder) {
        let text = std::fs::read_to_string(&path).expect("a report");
        let (documents, _) = yaml::read(&Arc::from("report"), &text);
        for document in documents {
            read(&document.value, &mut reports);
        }
    }
    let names: BTreeSet<&String> = reports.values().flat_map(|report| report.yes.iter().chain(&report.no)).collect();
    let names: Vec<&String> = names.into_iter().collect();
    let indexes = |set: &BTreeSet<String>| -> Vec<usize> {
        set.iter().filter_map(|name| names.iter().position(|known| *known == name)).collect()
    };
    let rows: Vec<Value> = reports
        .iter()
        .map(|((project, _, version), report)| {
            json!([project, version, report.suite, indexes(&report.yes), indexes(&report.no)])
        })
        .collect();
    json!({"source": format!("{MODULE} {VERSION}"), "features": names, "reports": rows})
}

/// Adds a report; one release may have several, by mode and suite, of which the newest suite counts.
fn read(report: &Value, reports: &mut BTreeMap<(String, Vec<u64>, String), Report>) {
    let text = |pointer: &str| report.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = text("/implementation/version").trim_start_matches('v').to_owned();
    let numbers = numbers_of(&version);
    let (project, suite) = (text("/implementation/project"), text("/gatewayAPIVersion"));
    let plain = project.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if numbers.is_empty() || !plain || project.is_empty() {
        return;
    }
    let known = reports.entry((project.to_owned(), numbers, version)).or_default();
    let of_suite = |suite: &str| numbers_of(suite.trim_start_matches('v'));
    if of_suite(suite) < of_suite(&known.suite) {
        return;
    }
    if known.suite != suite {
        *known = Report { suite: suite.to_owned(), ..Report::default() };
    }
    for profile in report["profiles"].as_array().into_iter().flatten() {
        let list = |field: &str| profile["extended"][field].as_array().cloned().unwrap_or_default();
        let names = |list: Vec<Value>| list.into_iter().filter_map(|name| name.as_str().map(str::to_owned));
        known.yes.extend(names(list("supportedFeatures")));
        known.no.extend(names(list("unsupportedFeatures")));
        if profile["core"]["result"] == "success" {
            let kind = profile["name"].as_str().unwrap_or_default().trim_start_matches("GATEWAY-");
            if ["HTTP", "GRPC", "TLS", "TCP", "UDP"].contains(&kind) {
                known.yes.extend([format!("{kind}Route"), "Gateway".to_owned(), "ReferenceGrant".to_owned()]);
            }
        }
    }
    known.no = known.no.difference(&known.yes).cloned().collect();
}

/// The numbers of a version, to be compared; none for what is no version.
fn numbers_of(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(str::parse).collect::<Result<_, _>>().unwrap_or_default()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of reports") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}
