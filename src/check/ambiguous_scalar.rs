//! SPW022.

use super::Check;
use crate::object::Severity;

pub(super) const CHECK: Check = Check {
    id: "SPW022",
    name: "ambiguous-scalar",
    severity: Severity::Warning,
    guards: false,
    what: "A value without quotes means one thing here and another one elsewhere.",
    why: "kubectl reads YAML 1.1, and so does spinway: `yes`, `on`, `n` are booleans there, `0644` is 420, `1_000` is 1000. YAML \
          1.2, and most editors and libraries, read a text or another number. Whoever wrote it may have meant either.",
    example: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata:\n  country: no",
    remedy: "Put it in quotes, or write the value that is meant: `true`, `420`.",
    // It is found where the text is read (`desired::yaml`).
    run: |_| Vec::new(),
};
