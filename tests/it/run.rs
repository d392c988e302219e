//! What the binary answered.

use serde_json::Value;
use std::fmt;
use std::process::{Command, Output};

/// Shows an output in full when an assertion fails.
pub struct Ran<'a>(pub &'a Output);

impl fmt::Display for Ran<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.0.status.code(), stdout(self.0), stderr(self.0))
    }
}

/// Runs spinway without a cluster.
pub fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinway"));
    command.args(arguments).env("NO_COLOR", "1").env_remove("KUBECONFIG").output().expect("spinway runs")
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as JSON.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{}", Ran(output)))
}

/// The row of an object in a report, by `KIND NAME`.
pub fn row<'a>(report: &'a Value, kind: &str, name: &str) -> &'a Value {
    let rows = report["changes"].as_array().expect("changes");
    rows.iter()
        .find(|r| r["object"]["kind"] == kind && r["object"]["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name} in {report:#}"))
}

/// `ACTION KIND NAMESPACE/NAME` of what is not unchanged.
pub fn actions(report: &Value) -> Vec<String> {
    let changed = report["changes"].as_array().expect("changes").iter().filter(|row| row["action"] != "unchanged");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |row: &Value| {
        let object = &row["object"];
        format!(
            "{} {} {}/{}",
            text(&row["action"]),
            text(&object["kind"]),
            text(&object["namespace"]),
            text(&object["name"])
        )
    };
    let mut lines: Vec<String> = changed.map(line).collect();
    lines.sort();
    lines
}
