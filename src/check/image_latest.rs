//! SPW043.

use super::context::wanted;
use super::{Check, Context};
use crate::desired::pin::Image;
use crate::kinds::{SPIN, each};
use crate::object::{Diagnostic, Object, Severity};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "SPW043",
    name: "image-latest",
    severity: Severity::Warning,
    guards: false,
    what: "An image has neither a digest nor a tag of its own: `latest`, or no tag, which means `latest`.",
    why: "`latest` moves with every push. Two pods of one app may run different code, a restart may bring another version, and going back \
          to an earlier commit does not go back to what ran then.",
    example: "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: checkout}\nspec: \
              {image: ghcr.io/acme/checkout/cart, executor: e, replicas: 1}",
    remedy: "Name a version, and add its digest with `spinway pin`: `ghcr.io/acme/checkout/cart:1.8.0@sha256:...`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    // There every image without a digest is an error already.
    if context.is_protected() {
        return Vec::new();
    }
    context.objects().flat_map(|object| of_object(context, object)).collect()
}

fn of_object(context: &Context<'_>, object: &Object) -> Vec<Diagnostic> {
    let moving = images(object).into_iter().filter(|(_, image)| moves(image));
    moving
        .map(|(pointer, image)| {
            let message = format!("{} runs image `{image}`, which moves: it means tag `latest`.", object.reference);
            context.finding(&CHECK, object, &pointer, message).help(CHECK.remedy)
        })
        .collect()
}

fn moves(image: &str) -> bool {
    let image = Image::of(image);
    image.digest.is_none() && matches!(image.tag, None | Some("" | "latest"))
}

/// The images that run: of the containers of pods in any kind, of SpinApps, and the one in which an executor runs apps.
fn images(object: &Object) -> Vec<(String, &str)> {
    let mut found: Vec<(String, &Value)> = Vec::new();
    if object.reference.group == SPIN {
        found.extend(each(&object.value, "spec.image"));
        found.extend(each(&object.value, "spec.deploymentConfig.spinImage"));
    }
    for (pointer, containers) in wanted(&object.value, &["containers", "initContainers"]) {
        let images = each(containers, "[].image").into_iter();
        found.extend(images.map(|(below, image)| (format!("{pointer}{below}"), image)));
    }
    let texts = found.into_iter().filter_map(|(pointer, image)| Some((pointer, image.as_str()?)));
    // A text with values in it is not known yet.
    texts.filter(|(_, image)| !image.is_empty() && !image.contains('$')).collect()
}
