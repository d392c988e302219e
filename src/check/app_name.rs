//! SPW006.

use super::{Check, Context};
use crate::kinds::SPIN;
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW006",
    name: "app-name",
    severity: Severity::Error,
    guards: false,
    what: "A SpinApp has a name that SpinKube cannot use.",
    why: "Its name becomes part of a label key, `core.spinkube.dev/app.NAME.status`, and the name of a container: at most 52 \
          characters, letters, digits and `-`. Nothing checks that; the operator fails for ever.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart.v2, namespace: checkout}\nspec: {image: a, executor: e}",
    remedy: "Give it a DNS label of at most 52 characters. An App has at most 43: its versions take nine.",
    run,
};

/// The longest name of a SpinApp.
const MAX: usize = 52;

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let label = |name: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        name.len() <= MAX && name.bytes().all(plain) && !name.starts_with('-') && !name.ends_with('-')
    };
    let wrong = context.objects().filter(|o| o.reference.is(SPIN, "SpinApp") && !label(&o.reference.name));
    wrong
        .map(|object| {
            let message = format!("`{}` is no name of a SpinApp.", object.reference.name);
            let help = format!("Use lower-case letters, digits and `-`, at most {MAX}.");
            context.finding(&CHECK, object, "/metadata/name", message).help(help)
        })
        .collect()
}
