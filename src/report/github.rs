//! Findings as workflow commands of GitHub Actions: annotations of the changed files.

use super::Report;
use crate::object::Severity;

/// One command for each finding.
pub fn github(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.diagnostics {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let mut properties = Vec::new();
        if let Some(place) = &finding.place {
            let file = place.file.workflow();
            properties.extend([
                format!("file={file}"),
                format!("line={}", place.line),
                format!("col={}", place.column),
            ]);
        }
        properties.push(format!("title={}", finding.id));
        let help = finding.help.as_ref().map(|help| format!("%0A{}", help.workflow_message())).unwrap_or_default();
        out.push_str(&format!("::{command} {}::{}{help}\n", properties.join(","), finding.message.workflow_message()));
    }
    out
}
