//! SPW020.

use super::{Check, Context, tenant_image};
use crate::desired::pin::is_digest;
use crate::kinds::SPIN;
use crate::object::{Diagnostic, Object, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW020",
    name: "image-tag",
    severity: Severity::Error,
    guards: true,
    what: "An image of a protected environment is named by a tag that can move.",
    why: "A tag names whatever was pushed last. What was reviewed and what runs may differ, two pods of one app may differ, \
          and going back to an earlier commit need not go back to what ran then.",
    example: "# in an environment with protected: true\napiVersion: spinway.dev/v1alpha1\nkind: App\n\
              metadata: {name: cart, namespace: checkout}\nspec: {image: \"ghcr.io/acme/checkout/cart:1.8.0\"}",
    remedy: "Add the digest: `spinway pin` asks the registry and writes `ghcr.io/acme/checkout/cart:1.8.0@sha256:...`.",
    run,
};

/// Whether an image names its content.
pub(super) fn is_pinned(image: &str) -> bool {
    image.rsplit_once('@').is_some_and(|(_, digest)| is_digest(digest))
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    if !context.is_protected() {
        return Vec::new();
    }
    context.objects().flat_map(of_object).collect()
}

fn of_object(object: &Object) -> Vec<Diagnostic> {
    let loose = tenant_image::used(object).filter(|(_, image)| !is_pinned(image)).map(|(pointer, image)| {
        let kind = if object.reference.is(SPIN, "SpinApp") { "SpinApp" } else { &object.reference.kind };
        let message = format!("The image {image} of a {kind} can change: this environment is protected.");
        let finding = Diagnostic::error(CHECK.id, message).at(object.origin_of(&pointer)).about(&object.reference);
        finding.help("`spinway pin` adds its digest: `name:tag@sha256:...`.")
    });
    loose.collect()
}
