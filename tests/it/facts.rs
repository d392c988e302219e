//! Facts are values (design law 8): no code decides by a sentence. What a text says is looked at in few places, each named here.

use std::path::Path;

/// Where text that others wrote, or that is shown to people, is compared or searched, and why that is no reading of a sentence.
const KNOWN: [(&str, &str, &str); 11] = [
    ("kinds/pods.rs", "\"Stale\"", "a reason code of ours"),
    ("kinds/pods.rs", "\"CrashLoopBackOff\"", "a reason code of the kubelet"),
    ("apply/gates.rs", "\"EndpointsNotRead\"", "a reason code of ours"),
    ("apply/gates.rs", "\"NotRead\"", "a reason code of ours"),
    ("apply/gates.rs", "\"NoDeployment\"", "a reason code of ours"),
    ("apply/mod.rs", "\"NoStatus\"", "a reason code of ours"),
    ("fields/managed.rs", "MANAGER", "the name of a field manager"),
    ("plan/handed.rs", "OPERATOR", "the name of a field manager"),
    ("kinds/gateway.rs", "\"Waiting for controller\"", "the default message that the Gateway API's CRD itself writes"),
    ("schema/rules.rs", "ABSENT", "the CEL interpreter gives its errors as texts alone"),
    ("api/mod.rs", "message.contains(words)", "the one place that reads what an API server says"),
];

/// What reads a text: a comparison, a search, a prefix.
const READS: [&str; 7] = ["contains(", "starts_with(", "ends_with(", "strip_prefix(", "find(", "==", "!="];

#[test]
fn no_code_decides_by_a_sentence() {
    let mut found = Vec::new();
    let mut used = vec![false; KNOWN.len()];
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path, text| {
        // Sentences are made there, and nothing reads them.
        if path.starts_with("report/")
            || path == "cli/failure.rs"
            || path.contains("tests")
            || path.ends_with("cases.rs")
        {
            return;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (index, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let of_text = [".raw()", ".message.", "message(c)", "message.contains"].iter().any(|of| line.contains(of));
            if !of_text || !READS.iter().any(|read| after_text(line).contains(read)) {
                continue;
            }
            match KNOWN.iter().position(|(file, what, _)| *file == path && line.contains(what)) {
                Some(known) => used[known] = true,
                None => found.push(format!("src/{path}:{}: {}", index + 1, line.trim())),
            }
        }
    });
    assert!(found.is_empty(), "these lines read a sentence; make the fact a value:\n{}", found.join("\n"));
    let unused: Vec<_> = KNOWN.iter().zip(&used).filter(|(_, used)| !**used).map(|(known, _)| known).collect();
    assert!(unused.is_empty(), "not there any more: {unused:?}");
}

/// The part of a line from the first text on.
fn after_text(line: &str) -> &str {
    let starts = [".raw()", "message"].into_iter().filter_map(|of| line.find(of));
    line.get(starts.min().unwrap_or(0)..).unwrap_or_default()
}

fn visit(folder: &Path, each: &mut dyn FnMut(&str, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
            each(&name, &std::fs::read_to_string(&path).expect("a file"));
        }
    }
}
