//! SPW008.

use super::{Check, Context};
use crate::kinds::{SCALERS, SPIN, references};
use crate::object::{Diagnostic, ObjectRef, Severity};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    id: "SPW008",
    name: "replicas",
    severity: Severity::Error,
    guards: false,
    what: "A SpinApp and an autoscaler both decide the number of its pods, or neither does.",
    why: "With `enableAutoscaling` SpinKube leaves the number to an autoscaler and refuses `replicas`. Without it the operator and \
          the autoscaler write against each other. With it and no autoscaler there is one pod for ever. With neither `replicas` of at \
          least 1 nor `enableAutoscaling` SpinKube's webhook refuses the app.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: \
              {image: a, executor: e, replicas: 2, enableAutoscaling: true}",
    remedy: "Either `replicas`, or `enableAutoscaling: true` with a HorizontalPodAutoscaler or ScaledObject of its Deployment.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let apps = context.objects().filter(|o| o.reference.is(SPIN, "SpinApp"));
    let scalers = scalers(context);
    apps.filter_map(|app| {
        let scaled = app.value.pointer("/spec/enableAutoscaling") == Some(&Value::Bool(true));
        let replicas = app.value.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or_default();
        let deployment = ObjectRef::new("apps", "Deployment", app.reference.namespace(), &app.reference.name);
        let scaler = scalers.get(&deployment);
        let (pointer, message, severity) = match (scaled, scaler) {
            (true, _) if replicas > 0 => {
                ("/spec/replicas", "has `replicas` beside `enableAutoscaling`".to_owned(), Severity::Error)
            }
            (false, Some(scaler)) => {
                ("/spec", format!("is scaled by {scaler} without `enableAutoscaling`"), Severity::Error)
            }
            (false, None) if replicas < 1 => match app.value.pointer("/spec/replicas") {
                Some(value) => ("/spec/replicas", format!("has `replicas: {value}`; the least is 1"), Severity::Error),
                None => ("/spec", "has neither `replicas` nor `enableAutoscaling`".to_owned(), Severity::Error),
            },
            (true, None) => {
                ("/spec/enableAutoscaling", "has no autoscaler in the repository".to_owned(), Severity::Warning)
            }
            _ => return None,
        };
        let finding = context.finding(&CHECK, app, pointer, format!("{} {message}.", app.reference)).help(CHECK.remedy);
        Some(Diagnostic { severity, ..finding })
    })
    .collect()
}

/// What scales each object, the first by name.
fn scalers(context: &Context<'_>) -> BTreeMap<ObjectRef, ObjectRef> {
    let mut found = BTreeMap::new();
    for (scaler, member) in SCALERS.iter().flat_map(|(group, kind)| context.desired.of_kind(group, kind, None)) {
        for reference in references(scaler, &member.object.value) {
            found.entry(reference.to).or_insert_with(|| scaler.clone());
        }
    }
    found
}
