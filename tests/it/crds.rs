//! Our own definitions of SpinKube's kinds against the real ones, where those are at hand.

use spinway::desired::yaml;
use spinway::object::GroupKind;
use spinway::schema::{Schema, Schemas};
use std::path::Path;
use std::sync::Arc;

fn schemas(text: &str) -> Schemas {
    let (documents, _) = yaml::read(&Arc::from("crd"), text);
    let mut schemas = Schemas::default();
    documents.iter().for_each(|d| schemas.add_crd(&d.value));
    schemas
}

/// Every field of ours must be there with the same type and default; volumes are left open in ours.
fn compare(ours: Schema<'_>, theirs: Schema<'_>, path: &str, wrong: &mut Vec<String>) {
    if ours.preserves_unknown() {
        return;
    }
    for keyword in ["type", "x-kubernetes-list-type", "x-kubernetes-map-type"] {
        if ours.text(keyword) != theirs.text(keyword) {
            wrong.push(format!("{path}: {keyword} is {:?}, ours {:?}", theirs.text(keyword), ours.text(keyword)));
        }
    }
    if ours.default() != theirs.default() {
        wrong.push(format!("{path}: default is {:?}, ours {:?}", theirs.default(), ours.default()));
    }
    for (name, property) in ours.properties() {
        match theirs.property(name) {
            Some(other) => compare(property, other, &format!("{path}.{name}"), wrong),
            None => wrong.push(format!("{path}.{name}: not in the real definition")),
        }
    }
    if let (Some(ours), Some(theirs)) = (ours.items(), theirs.items()) {
        compare(ours, theirs, &format!("{path}[]"), wrong);
    }
}

#[test]
fn our_spinkube_definitions_agree_with_the_real_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = schemas(&std::fs::read_to_string(root.join("tests/crds/spinkube.yaml")).expect("our definitions"));
    let spec =
        |schemas: &Schemas, kind: &str| schemas.of(&GroupKind::new("core.spinkube.dev", kind), "v1alpha1").is_some();
    assert!(spec(&ours, "SpinApp") && spec(&ours, "SpinAppExecutor"));
    // The real definitions are no part of the project: they are compared where a checkout has them beside it.
    let real = root.join("../shared/crds");
    let mut wrong = Vec::new();
    for (kind, file) in [("SpinApp", "spinapps"), ("SpinAppExecutor", "spinappexecutors")] {
        let Ok(text) = std::fs::read_to_string(real.join(format!("core.spinkube.dev_{file}.yaml"))) else { continue };
        let theirs = schemas(&text);
        let kind = GroupKind::new("core.spinkube.dev", kind);
        let (Some(a), Some(b)) = (ours.of(&kind, "v1alpha1"), theirs.of(&kind, "v1alpha1")) else {
            panic!("{kind} has no schema")
        };
        let spec = |schema: Schema<'_>| schema.property("spec").is_some();
        assert!(spec(a) && spec(b));
        compare(a, b, &kind.kind, &mut wrong);
        let fields: Vec<&String> =
            b.property("spec").into_iter().flat_map(Schema::properties).map(|(name, _)| name).collect();
        let missing: Vec<&&String> =
            fields.iter().filter(|name| a.property("spec").and_then(|s| s.property(name)).is_none()).collect();
        assert!(missing.is_empty(), "{kind} lacks {missing:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
