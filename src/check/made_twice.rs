//! SPW042.

use super::{Check, Context};
use crate::kinds::SPIN;
use crate::object::{Diagnostic, Object, ObjectRef, Severity, annotation};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW042",
    name: "made-twice",
    severity: Severity::Error,
    guards: false,
    what: "An object has the name of one that a controller creates for another object.",
    why: "The Spin operator applies a Deployment and a Service of the SpinApp's name by force, and controllers of secrets write the Secret \
          that they were asked for. Two owners of one object overwrite each other for ever.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: {image: \"a:1\", executor: e, replicas: 1}\n---\n\
              apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: checkout}\nspec: {ports: [{port: 8080}]}",
    remedy: "Rename one of the two, or remove the object and use the one that the controller creates.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = context.objects().filter_map(|object| declared(context, object)).collect();
    found.extend(context.objects().flat_map(|object| shared(context, object)));
    found
}

/// An object that is declared, and that a controller makes too.
fn declared(context: &Context<'_>, object: &Object) -> Option<Diagnostic> {
    let makers = context.makers().get(&object.reference)?;
    let maker = makers.iter().find(|maker| takes_turns(context, maker, object))?;
    let message = format!("{} is also created for {maker}: the two overwrite each other.", object.reference);
    Some(context.finding(&CHECK, object, "/metadata/name", message).help(CHECK.remedy))
}

/// An object that two others let controllers make.
fn shared(context: &Context<'_>, object: &Object) -> Vec<Diagnostic> {
    let made = crate::kinds::provides(&object.reference, &object.value);
    let shared = made.into_iter().filter_map(|made| {
        let first = context.makers().get(&made)?.iter().find(|maker| writes_all(context, maker))?;
        let is_second = *first < object.reference && writes_all(context, &object.reference);
        is_second.then(|| format!("{} and {first} both create {made}: the two overwrite each other.", object.reference))
    });
    shared.map(|message| context.finding(&CHECK, object, "/spec", message).help(CHECK.remedy)).collect()
}

/// Whether the controller of a maker writes what an object declares.
fn takes_turns(context: &Context<'_>, maker: &ObjectRef, object: &Object) -> bool {
    let Some(by) = context.desired.counting(maker).map(|member| &member.object.value) else { return false };
    match (maker.kind.as_str(), object.reference.kind.as_str()) {
        // The operator makes the Service whatever the executor says.
        ("SpinApp", "Deployment") => makes_deployment(context, maker, by),
        ("SealedSecret", _) if is_shared(&object.value) => false,
        // A Secret without values is a place for those that come.
        (_, "Secret") => has_values(&object.value) && writes_all(context, maker),
        _ => true,
    }
}

fn makes_deployment(context: &Context<'_>, app: &ObjectRef, value: &Value) -> bool {
    let executor = value.pointer("/spec/executor").and_then(Value::as_str).unwrap_or_default();
    let executor = ObjectRef::new(SPIN, "SpinAppExecutor", app.namespace(), executor);
    let executor = context.desired.counting(&executor).map(|member| &member.object.value);
    executor.and_then(|value| value.pointer("/spec/createDeployment")) != Some(&Value::Bool(false))
}

/// Whether a controller takes what it makes as its own; External Secrets can add to a Secret, or leave it to others.
fn writes_all(context: &Context<'_>, maker: &ObjectRef) -> bool {
    let value = context.desired.counting(maker).map(|member| &member.object.value);
    let policy = value.and_then(|value| value.pointer("/spec/target/creationPolicy")).and_then(Value::as_str);
    !matches!((maker.kind.as_str(), policy), ("ExternalSecret", Some("Merge" | "None")))
}

/// Whether a Secret says that Sealed Secrets may take it over or add to it.
fn is_shared(secret: &Value) -> bool {
    let is_set = |name: &str| annotation(secret, name) == Some("true");
    is_set("sealedsecrets.bitnami.com/managed") || is_set("sealedsecrets.bitnami.com/patch")
}

fn has_values(secret: &Value) -> bool {
    secret.get("data").and_then(Value::as_object).is_some_and(|data| !data.is_empty())
}
