//! Findings as a JUnit report: errors are failures, the rest is said beside tests that pass.

use super::Report;
use crate::object::Severity;

/// One test for each finding; one that passes when there is none.
pub fn junit(report: &Report) -> String {
    let failures = report.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count();
    let tests = report.diagnostics.len().max(1);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"spinway check\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n"
    );
    if report.diagnostics.is_empty() {
        out.push_str("    <testcase classname=\"spinway\" name=\"check\"/>\n");
    }
    for finding in &report.diagnostics {
        let (file, place) = finding.place.as_ref().map_or(("spinway".to_owned(), String::new()), |place| {
            let file = place.file.xml();
            (file.clone(), format!(" {file}:{}:{}", place.line, place.column))
        });
        let help = finding.help.as_ref().map(|help| format!("\n{}", help.xml())).unwrap_or_default();
        let message = finding.message.xml();
        out.push_str(&format!("    <testcase classname=\"{file}\" name=\"{}{place}\">\n", finding.id));
        if finding.severity == Severity::Error {
            out.push_str(&format!(
                "      <failure type=\"{}\" message=\"{message}\">{message}{help}</failure>\n",
                finding.id
            ));
        } else {
            out.push_str(&format!("      <system-out>{message}{help}</system-out>\n"));
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}
