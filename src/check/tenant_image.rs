//! SPW106.

use super::context::wanted;
use super::{Check, Context};
use crate::desired::{Tenant, allows_all, glob_within};
use crate::object::{Diagnostic, Object, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW106",
    name: "tenant-image",
    severity: Severity::Error,
    guards: true,
    what: "A tenant runs an image that is not from where its images come.",
    why: "An image is code that runs with the tenant's identity. Where it comes from decides who may change it.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], images: [\"ghcr.io/acme/checkout/*\"]}]\n\
              # apps/checkout/app.yaml\napiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: checkout}\n\
              spec: {image: \"docker.io/someone/cart:1\"}",
    remedy: "Push the artifact to one of the tenant's `images`, or have the platform team add this place. A `*` does not cross \
             `/`; tag and digest are not part of what is compared.",
    run,
};

/// An image without tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to the port of the registry.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

fn has(tenant: &Tenant, image: &str) -> bool {
    allows_all(&tenant.images) || tenant.images.iter().any(|pattern| glob_within(pattern, repository(image)))
}

/// The images that an object runs, and where they stand.
pub(super) fn used(object: &Object) -> impl Iterator<Item = (String, &str)> {
    wanted(&object.value, &["image"]).into_iter().filter_map(|(pointer, image)| {
        // Of a volume it is a map (KEP-4639).
        let image = image.as_str().or_else(|| image.get("reference")?.as_str())?;
        Some((pointer, image))
    })
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let foreign = context.bound().flat_map(|(member, tenant)| {
        used(&member.object).filter_map(move |(pointer, image)| {
            let what = format!("run the image {}", repository(image));
            let may = |other: &Tenant| has(other, image);
            let violation = || context.violation(&CHECK, (member, tenant), &pointer, &what, may);
            (!has(tenant, image)).then(|| context.of_list(violation(), tenant, !tenant.images.is_empty()))
        })
    });
    foreign.collect()
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn tag_and_digest_are_no_part_of_a_repository() {
        for (image, expected) in [
            ("a/b:1@sha256:00", "a/b"),
            ("a/b@sha256:00", "a/b"),
            ("localhost:5000/a/b", "localhost:5000/a/b"),
            ("localhost:5000/a/b:1", "localhost:5000/a/b"),
            ("a", "a"),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }
}
