//! The lists that would allow tenants what their files use now, where a tenant has no such list.

use super::{
    Check, Context, tenant_bounds, tenant_egress, tenant_gateway, tenant_hostname, tenant_identity, tenant_image,
    tenant_kind, tenant_namespace, tenant_path,
};
use crate::desired::{Desired, Environment, Suppression, Tenant};
use crate::object::Object;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A list of a tenant, as the Config names it.
type ListName = &'static str;

/// The lists, by tenant.
pub(super) type Suggestions = BTreeMap<String, BTreeMap<ListName, BTreeSet<String>>>;

/// A list that a tenant may have, the check that holds it, and what it has to name for an object.
struct List {
    name: ListName,
    check: &'static str,
    is_missing: fn(&Tenant, &Context<'_>) -> bool,
    /// Its entries; none where the tenant has no list and not nothing either.
    entries: fn(&Tenant) -> Option<Vec<String>>,
    /// What stands for all where an object uses all; empty where none can.
    all: &'static str,
    /// Whether its entries are hostnames: they may begin with a wildcard.
    of_hosts: bool,
    used: fn(&Object, &Tenant, &Context<'_>) -> Vec<String>,
}

const HOSTNAMES: ListName = "hostnames";

const LISTS: [List; 7] = [
    List {
        name: "namespaces",
        entries: |tenant| Some(tenant.namespaces.clone()),
        all: "",
        of_hosts: false,
        check: tenant_namespace::CHECK.id,
        is_missing: |tenant, _| tenant.namespaces.is_empty(),
        // Namespaces of Kubernetes are not for a list that is suggested.
        used: |object, _, _| {
            let own = object.reference.namespace.iter().filter(|namespace| !namespace.starts_with("kube-"));
            own.cloned().collect()
        },
    },
    List {
        name: "kinds",
        entries: |tenant| tenant.kinds.clone(),
        all: "",
        of_hosts: false,
        check: tenant_kind::CHECK.id,
        is_missing: |tenant, _| tenant.kinds.is_none(),
        used: |object, _, _| {
            let beyond = Some(&object.reference).filter(|reference| !tenant_kind::is_own(reference));
            beyond.and_then(tenant_kind::used).into_iter().collect()
        },
    },
    List {
        name: "gateways",
        entries: |tenant| Some(tenant.gateways.clone()),
        all: "",
        of_hosts: false,
        check: tenant_gateway::CHECK.id,
        is_missing: |tenant, _| tenant.gateways.is_empty(),
        used: |object, _, context| tenant_gateway::used(object, context),
    },
    List {
        name: HOSTNAMES,
        entries: |tenant| Some([&tenant.hostnames[..], &tenant.own_hostnames].concat()),
        all: "*",
        of_hosts: true,
        check: tenant_hostname::CHECK.id,
        is_missing: |tenant, _| tenant.hostnames.is_empty() && tenant.own_hostnames.is_empty(),
        used: |object, _, _| tenant_hostname::used(object),
    },
    List {
        name: "pathPrefixes",
        entries: |tenant| Some(tenant.path_prefixes.clone()),
        all: "*",
        of_hosts: false,
        check: tenant_path::CHECK.id,
        is_missing: |tenant, _| tenant.path_prefixes.is_empty(),
        used: |object, tenant, _| tenant_path::used(object, tenant),
    },
    List {
        name: "images",
        entries: |tenant| Some(tenant.images.clone()),
        all: "",
        of_hosts: false,
        check: tenant_image::CHECK.id,
        is_missing: |tenant, _| tenant.images.is_empty(),
        used: |object, _, _| {
            tenant_image::used(object).map(|(_, image)| tenant_image::repository(image).to_owned()).collect()
        },
    },
    List {
        name: "egress",
        entries: |tenant| tenant.egress.clone(),
        all: "*",
        of_hosts: false,
        check: tenant_egress::CHECK.id,
        is_missing: |tenant, context| context.is_protected() && tenant.egress.is_none(),
        used: |object, _, _| tenant_egress::makes_pods(object).then(|| "*".to_owned()).into_iter().collect(),
    },
];

/// The list that a check is about, and what it allows a tenant.
pub(super) fn allowed(check: &Check, tenant: &Tenant) -> Option<(ListName, Vec<String>)> {
    let list = LISTS.iter().find(|list| list.check == check.id)?;
    Some((list.name, (list.entries)(tenant)?))
}

/// The lists that are missing in one environment. Addresses that its values are part of are written with them.
pub(super) fn missing(context: &Context<'_>) -> Suggestions {
    let mut found = Suggestions::new();
    for (member, tenant) in context.bound() {
        let object = &member.object;
        for list in LISTS.iter().filter(|list| (list.is_missing)(tenant, context)) {
            let excuses = |suppression: &Suppression| {
                suppression.check == list.check && suppression.selector().matches(&object.reference)
            };
            let is_ours = |entry: &String| *entry == context.rules.inventory.namespace;
            let used = (list.used)(object, tenant, context).into_iter().filter(|entry| !is_ours(entry));
            let used: Vec<String> = used.filter(|entry| entry == list.all || list.is_entry(entry)).collect();
            if used.is_empty() || context.rules.suppressions.iter().any(excuses) {
                continue;
            }
            found.entry(tenant.name.clone()).or_default().entry(list.name).or_default().extend(used);
        }
    }
    found
}

/// What tenants with a list of kinds to be suggested declare: the list replaces the kinds that an app needs, in every environment.
fn complete_kinds(all: &mut Suggestions, context: &Context<'_>) {
    for (member, tenant) in context.bound() {
        if let Some(kinds) = all.get_mut(&tenant.name).and_then(|lists| lists.get_mut("kinds")) {
            kinds.extend(tenant_kind::used(&member.object.reference));
        }
    }
}

impl List {
    /// Whether what an object uses can stand in the list as it is. Hostnames may begin with a wildcard.
    fn is_entry(&self, used: &str) -> bool {
        let rest = used.strip_prefix("*.").filter(|_| self.of_hosts);
        is_literal(rest.unwrap_or(used))
    }
}

/// Whether an entry is what it says: a name that is none would be a pattern in the list.
fn is_literal(entry: &str) -> bool {
    !entry.contains(['*', '?', '[', '{', '$'])
}

/// A text in which the values of an environment are named again: `${domain}` for `shop.example`. Only what looks like a domain
/// is worth it.
fn with_names(text: &str, environment: &Environment) -> String {
    let mut values: Vec<(&String, &str)> =
        environment.values.iter().filter_map(|(name, value)| Some((name, domain(value)?))).collect();
    values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
    if text.contains('$') {
        return text.to_owned();
    }
    let named = values.into_iter().find_map(|(name, value)| {
        let rest = text.strip_suffix(value).filter(|rest| rest.is_empty() || rest.ends_with('.'))?;
        Some(format!("{rest}${{{name}}}"))
    });
    named.unwrap_or_else(|| text.to_owned())
}

fn domain(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| text.contains('.') && !text.contains('/'))
}

/// The lists as a flow of YAML: `namespaces: [checkout]`.
pub(super) fn written(lists: &BTreeMap<ListName, BTreeSet<String>>) -> Vec<String> {
    let line = |(name, entries): (&ListName, &BTreeSet<String>)| {
        // JSON strings are YAML.
        let entries: Vec<String> = entries.iter().map(|entry| Value::from(entry.as_str()).to_string()).collect();
        format!("{name}: [{}]", entries.join(", "))
    };
    lists.iter().map(line).collect()
}

/// What to add to `spec.tenants` so that every tenant without a list may do what its files do now, in YAML; empty when nothing
/// is missing.
///
/// It is what they use and no judgement whether they should. Where a protected environment requires a service account, the line is a
/// comment: an account has to be made first.
pub fn suggest_rules(environments: &[Desired]) -> String {
    let mut all = Suggestions::new();
    let mut lacking = BTreeSet::new();
    let mut hosts: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    for desired in environments {
        let context = Context::new(desired);
        for (tenant, lists) in missing(&context) {
            if let Some(list) = lists.get(HOSTNAMES) {
                let named = list.iter().map(|host| with_names(host, &desired.environment)).collect();
                hosts.entry(tenant.clone()).or_default().push(named);
            }
            let known = all.entry(tenant).or_default();
            lists.into_iter().for_each(|(name, entries)| known.entry(name).or_default().extend(entries));
        }
        for tenant in tenant_bounds::without_namespaces(context.rules) {
            let own = all.entry(tenant.name.clone()).or_default().entry("namespaces").or_default();
            if own.is_empty() {
                own.insert(tenant.name.clone());
            }
        }
        lacking.extend(tenant_identity::declaring(desired).into_iter().map(str::to_owned));
    }
    // By the names of values where that means the same in every environment.
    for (tenant, named) in hosts {
        if let [first, rest @ ..] = named.as_slice()
            && rest.iter().all(|other| other == first)
        {
            all.entry(tenant).or_default().insert(HOSTNAMES, first.clone());
        }
    }
    environments.iter().for_each(|desired| complete_kinds(&mut all, &Context::new(desired)));
    for tenant in &lacking {
        all.entry(tenant.clone()).or_default();
    }
    if all.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "# Merge these lines into the entries of spinway.yaml, after reading whether each tenant should have that. A list that is\n\
         # there and empty is replaced. `\"*\"` allows everything: write less where you can.\nspec:\n  tenants:\n",
    );
    for (tenant, lists) in &all {
        let lines = written(lists).into_iter().map(|line| format!("      {line}\n")).collect::<String>();
        // Writing to a text never fails.
        let _ = write!(text, "    - name: {}\n{lines}", Value::from(tenant.as_str()));
        if lacking.contains(tenant) {
            let _ =
                writeln!(text, "      # serviceAccount: NAMESPACE/NAME   # after an administrator made it (SPW112)");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_that_are_domains_are_named_again() {
        let values = json!({"domain": "shop.example", "zone": "eu.shop.example", "tier": "live", "host": "x"});
        let values = values.as_object().cloned().unwrap_or_default().into_iter().collect();
        let environment = Environment { values, ..Environment::default() };
        for (text, expected) in [
            ("shop.example", "${domain}"),
            ("cart.shop.example", "cart.${domain}"),
            ("cart.eu.shop.example", "cart.${zone}"),
            ("workshop.example", "workshop.example"),
            ("live", "live"),
            ("*", "*"),
        ] {
            assert_eq!(with_names(text, &environment), expected, "{text}");
        }
    }
}
