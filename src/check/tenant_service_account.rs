//! SPW108.

use super::context::wanted;
use super::{Check, Context};
use crate::desired::{Member, Tenant};
use crate::kinds::references;
use crate::object::{Diagnostic, ObjectRef, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW108",
    name: "tenant-service-account",
    severity: Severity::Error,
    guards: true,
    what: "Pods of a tenant run as a service account that is not for them.",
    why: "A pod holds the token of its service account. As the one that deploys the tenant it could change everything of the \
          tenant past Git; as another one of the namespace it has rights that were given to something else.",
    example: "# spinway.yaml: tenants: [{name: checkout, paths: [apps/checkout], serviceAccount: checkout/deployer}]\n\
              # apps/checkout/app.yaml\napiVersion: spinway.dev/v1alpha1\nkind: App\nmetadata: {name: cart, namespace: checkout}\n\
              spec: {image: \"ghcr.io/acme/checkout/cart:1\", serviceAccount: deployer}",
    remedy: "Leave it out (`default`), declare a service account beside the app, or have the platform team add it to \
             `podServiceAccounts` of the tenant.",
    run,
};

/// Whether pods of a tenant may run as a service account of a namespace.
fn allowed(context: &Context<'_>, tenant: &Tenant, namespace: &str, name: &str) -> bool {
    if tenant.service_account.as_deref() == Some(&format!("{namespace}/{name}")) {
        return false;
    }
    let listed = tenant.pod_service_accounts.iter().any(|listed| listed == name);
    let declared = || {
        let member = context.desired.objects.get(&ObjectRef::new("", "ServiceAccount", namespace, name));
        member.is_some_and(|member| {
            context.rules.tenant_of(&member.object.origin.file).is_some_and(|of| of.name == tenant.name)
        })
    };
    // Whoever declares an account that a binding of others names already would take its rights.
    let bound = || {
        let account = ObjectRef::new("", "ServiceAccount", namespace, name);
        let of_rbac = context.desired.objects.iter().filter(|(object, _)| object.group == "rbac.authorization.k8s.io");
        let others = of_rbac.filter(|(_, member)| member.partition != tenant.name);
        others.flat_map(|(object, member)| references(object, &member.object.value)).any(|found| found.to == account)
    };
    name.is_empty() || listed || (name == "default" || declared()) && !bound()
}

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    context.bound().flat_map(|bound| of_object(context, bound)).collect()
}

fn of_object(context: &Context<'_>, (member, tenant): (&Member, &Tenant)) -> Vec<Diagnostic> {
    let object = &member.object;
    let namespace = object.reference.namespace();
    let deployer = format!("{namespace}/{}", object.reference.name);
    if object.reference.is("", "ServiceAccount") && tenant.service_account.as_deref() == Some(&deployer) {
        let what = format!("declare the service account {deployer} that it is applied as");
        return vec![context.violation(&CHECK, (member, tenant), "/metadata/name", &what, |_| false)];
    }
    let accounts = wanted(&object.value, &["serviceAccountName", "serviceAccount"]);
    let foreign = accounts.into_iter().filter_map(|(pointer, name)| {
        let name = name.as_str()?;
        let what = format!("run pods as service account {namespace}/{name}");
        (!allowed(context, tenant, namespace, name))
            .then(|| context.violation(&CHECK, (member, tenant), &pointer, &what, |_| false))
    });
    foreign.collect()
}
