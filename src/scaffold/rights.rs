//! The service account of a tenant, and what it may do.

use super::text::{list, scalar};
use super::{Known, NewTenant, Wrong};
use crate::desired::{APP_KINDS, GROUP, OWN_KINDS, Tenant, is_dns_label};
use crate::install::WRITE;
use crate::object::GroupKind;
use std::collections::{BTreeMap, BTreeSet};

/// The group whose kinds give rights: no tenant writes them.
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// The kinds of objects that a tenant applies, by what was asked for; without that those that every tenant may declare, as far
/// as the repository's clusters can have them.
///
/// # Errors
/// A kind is unknown, belongs to the whole cluster, or gives rights.
pub(super) fn kinds(asked: &[String], known: &Known) -> Result<BTreeSet<GroupKind>, Wrong> {
    if asked.is_empty() {
        let own = OWN_KINDS.iter().filter(|(group, _)| *group != GROUP && known.may_have(group));
        return Ok(own.map(|(group, kind)| GroupKind::new(group, kind)).collect());
    }
    let found = asked.iter().map(|text| kinds_of(text, known)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// The kinds that one entry of `kinds` is about.
fn kinds_of(text: &str, known: &Known) -> Result<Vec<GroupKind>, Wrong> {
    let wrong = |rule: String| Err(Wrong::Value { value: text.to_owned(), what: "kind for a tenant", rule });
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.is_empty() || !text.chars().all(is_name) {
        return wrong(
            "write `Deployment` or `Certificate.cert-manager.io`; the Role of the tenant cannot have a pattern"
                .to_owned(),
        );
    }
    let (name, group) = match text.split_once('.') {
        Some((name, group)) => (name, Some(group.to_owned())),
        None => (text, known.group_of(text)),
    };
    if name == "App" && group.as_deref().is_none_or(|group| group == GROUP) {
        return Ok(APP_KINDS
            .iter()
            .filter(|(group, _)| known.may_have(group))
            .map(|(group, kind)| GroupKind::new(group, kind))
            .collect());
    }
    let Some(group) = group else {
        return wrong(format!("no API group, or several, have it; write it with its group, like `{name}.example.com`"));
    };
    let kind = GroupKind::new(&group, name);
    if kind.group == RBAC_GROUP {
        return wrong("it gives rights, which only the platform team writes".to_owned());
    }
    if known.is_namespaced(&kind) == Some(false) {
        return wrong(
            "it belongs to the whole cluster; add it to `clusterKinds` of the tenant by hand, with a ClusterRole"
                .to_owned(),
        );
    }
    Ok(vec![kind])
}

/// The ServiceAccount where the repository does not have it, then the Role and the RoleBinding.
pub(super) fn objects(new: &NewTenant, known: &Known) -> Result<Vec<String>, Wrong> {
    let (namespace, name) = new.service_account.split_once('/').unwrap_or_default();
    let account = (!known.has_service_account(namespace, name)).then(|| account(new));
    Ok(account.into_iter().chain(rights(new, known)?).collect())
}

/// The account that a tenant which is there already is to have, `NAMESPACE/NAME`.
pub fn account_for(tenant: &Tenant) -> Option<String> {
    let namespace = exact_namespaces(tenant).next()?;
    // Several tenants may share a namespace, and not an account.
    let name = if *namespace == tenant.name { "deployer".to_owned() } else { format!("{}-deployer", tenant.name) };
    Some(format!("{namespace}/{name}"))
}

/// That account with its rights in each namespace that the tenant names, in YAML. None where `kinds` or `namespaces` are patterns: a
/// Role has none.
pub fn account_of(tenant: &Tenant, known: &Known) -> Option<String> {
    let in_namespace = |namespace: &String| NewTenant {
        name: tenant.name.clone(),
        namespace: namespace.clone(),
        kinds: tenant.kinds.clone().unwrap_or_default(),
        service_account: account_for(tenant).unwrap_or_default(),
        ..NewTenant::default()
    };
    let all: Vec<NewTenant> = exact_namespaces(tenant).map(in_namespace).collect();
    let mut objects = vec![account(all.first()?)];
    for new in &all {
        objects.extend(rights(new, known).ok()?);
    }
    Some(objects.join("---\n"))
}

fn exact_namespaces(tenant: &Tenant) -> impl Iterator<Item = &String> {
    tenant.namespaces.iter().filter(|namespace| is_dns_label(namespace) && !namespace.starts_with("kube-"))
}

fn account(new: &NewTenant) -> String {
    let (account_namespace, account) = new.service_account.split_once('/').unwrap_or_default();
    format!(
        "\
# All changes of tenant {} are made as this account (`serviceAccount` in spinway.yaml), so the API server refuses what the Role
# below does not allow. It needs no token: spinway impersonates it.
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {}, namespace: {}}}
automountServiceAccountToken: false
",
        new.name,
        scalar(account),
        scalar(account_namespace)
    )
}

fn rights(new: &NewTenant, known: &Known) -> Result<Vec<String>, Wrong> {
    let kinds = kinds(&new.kinds, known)?;
    let (account_namespace, account) = new.service_account.split_once('/').unwrap_or_default();
    let mut objects = Vec::new();
    let (name, namespace) = (scalar(account), scalar(&new.namespace));
    let mut resources: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for kind in &kinds {
        resources.entry(&kind.group).or_default().insert(known.resource(kind));
    }
    let rules = resources.iter().map(|(group, resources)| {
        let resources: Vec<String> = resources.iter().cloned().collect();
        format!(
            "  - apiGroups: [{}]\n    resources: {}\n    verbs: [{}]\n",
            scalar(group),
            list(&resources),
            WRITE.join(", ")
        )
    });
    objects.push(format!(
        "\
# One resource for each kind that the tenant may declare. Keep it in the platform's files, like the binding: a tenant must not
# change its own rights. Whoever applies it first needs these rights too, since Kubernetes lets nobody grant more than they have.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: {name}, namespace: {namespace}}}
rules:
{}",
        rules.collect::<String>()
    ));
    objects.push(format!(
        "\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: {name}, namespace: {namespace}}}
roleRef: {{apiGroup: {RBAC_GROUP}, kind: Role, name: {name}}}
subjects:
  - {{kind: ServiceAccount, name: {name}, namespace: {}}}
",
        scalar(account_namespace)
    ));
    Ok(objects)
}
