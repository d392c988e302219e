//! The last gate before the API server: it holds each request for a tenant against the text of the tenant's rules, once more
//! and by itself.
//!
//! **Invariant:** it knows nothing of plans, templates and checks, and uses nothing of theirs: what they let through by mistake
//! ends here. Whatever it does not understand it refuses.

use crate::desired::{APP_KINDS, Config, Environment, GROUP, OWN_KINDS, Pattern, Selector};
use crate::live::Served;
use crate::object::{GroupKind, ObjectRef};
use serde_json::Value;
use std::collections::BTreeMap;

/// The checks of a tenant's namespaces and kinds, by the ids that `suppressions` name.
const OF_NAMESPACES: &str = "SPW101";
const OF_KINDS: &str = "SPW102";

/// What a tenant may ask of the API server.
#[derive(Clone, Debug)]
pub struct Monitor {
    tenant: String,
    namespaces: Vec<Pattern>,
    kinds: Option<Vec<String>>,
    cluster_kinds: Vec<String>,
    /// As whom all of it is asked, where the rules say so.
    identity: Option<String>,
    /// Whether it may ask nothing as ourselves: so it is in a protected environment.
    needs_identity: bool,
    /// Where the inventories are: nobody's but ours.
    inventory: String,
    /// What `suppressions` of the rules let pass: the id of the check, and the objects.
    excused: Vec<(&'static str, Selector)>,
    /// The kinds that are served, by group and resource.
    served: BTreeMap<(String, String), (String, bool)>,
}

/// A request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method of HTTP.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The user it is sent as, when that is not ourselves.
    pub user: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// An object as a path names it.
struct Place<'a> {
    group: &'a str,
    version: &'a str,
    namespace: Option<&'a str>,
    resource: &'a str,
    name: &'a str,
}

impl<'a> Place<'a> {
    /// Reads `/api/V/...` or `/apis/G/V/...`, then `[namespaces/N/]RESOURCE/NAME`; none for anything else.
    fn of(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, resource, name) = match rest {
            ["namespaces", namespace, resource, name] => (Some(*namespace), *resource, *name),
            [resource, name] => (None, *resource, *name),
            _ => return None,
        };
        let all = [version, resource, name, namespace.unwrap_or("x")];
        let is_plain = |text: &str| !text.is_empty() && text != "." && text != "..";
        all.into_iter().all(is_plain).then_some(Self { group, version, namespace, resource, name })
    }
}

impl Monitor {
    /// What the rules let the tenant of a partition ask in an environment; none for the platform's own partition.
    pub fn of(
        rules: &Config,
        environment: &Environment,
        partition: &str,
        served: &BTreeMap<GroupKind, Served>,
    ) -> Option<Self> {
        let tenant = rules.tenants.iter().find(|tenant| tenant.name == partition)?;
        let account = tenant.service_account.as_deref().and_then(|account| account.split_once('/'));
        let excused = rules.suppressions.iter().filter_map(|suppression| {
            let check = [OF_NAMESPACES, OF_KINDS].into_iter().find(|check| suppression.check == *check)?;
            Some((check, suppression.selector()))
        });
        let served = served.iter().map(|(kind, served)| {
            ((kind.group.clone(), served.plural.clone()), (kind.kind.clone(), served.namespaced))
        });
        let mut rules_of_it = rules.environments.iter().filter(|known| known.name == environment.name);
        Some(Self {
            tenant: tenant.name.clone(),
            needs_identity: environment.protected || rules_of_it.any(|known| known.protected),
            namespaces: tenant.namespaces.iter().cloned().map(Pattern::from).collect(),
            kinds: tenant.kinds.clone(),
            cluster_kinds: tenant.cluster_kinds.clone(),
            identity: account.map(|(namespace, name)| format!("system:serviceaccount:{namespace}:{name}")),
            inventory: rules.inventory.namespace.clone(),
            excused: excused.collect(),
            served: served.collect(),
        })
    }

    /// Whether a request may be sent.
    ///
    /// # Errors
    /// What is not allowed, in words.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), String> {
        self.judge(asked).map_err(|what| {
            format!(
                "spinway's own check of requests failed: tenant `{}` may not {what}. This is a bug in spinway: the run stops, please report it",
                self.tenant
            )
        })
    }

    fn judge(&self, asked: &Asked<'_>) -> Result<(), String> {
        if self.needs_identity && self.identity.is_none() {
            return Err("act without a service account in a protected environment".to_owned());
        }
        if self.identity.as_deref() != asked.user {
            return Err(format!("act as {}", asked.user.unwrap_or("spinway")));
        }
        let place = Place::of(asked.path).ok_or_else(|| format!("request {}", asked.path))?;
        match asked.method {
            // What is deleted was applied once, by the inventory's word; rules that were narrowed since must not keep it.
            "DELETE" => Ok(()),
            "PATCH" | "PUT" => self.judge_text(&place, asked.body),
            method => Err(format!("send {method}")),
        }
    }

    fn has(&self, namespace: &str) -> bool {
        // Kubernetes' own namespaces only by an entry that says so.
        let may_name = |entry: &&Pattern| !namespace.starts_with("kube-") || entry.as_str().starts_with("kube-");
        let mut entries = self.namespaces.iter().filter(may_name);
        namespace != self.inventory && entries.any(|entry| entry.is_match(namespace))
    }

    /// A text that is written, which has to be of the object that the path names, and of a kind that the tenant has.
    fn judge_text(&self, place: &Place<'_>, body: &[u8]) -> Result<(), String> {
        let body: Value = serde_json::from_slice(body).map_err(|_| "send a body that is not JSON".to_owned())?;
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let version = if place.group.is_empty() {
            place.version.to_owned()
        } else {
            format!("{}/{}", place.group, place.version)
        };
        let kind = text("/kind").unwrap_or_default();
        let is_named = text("/metadata/name").is_some_and(|name| encoded(name) == place.name);
        let is_placed =
            body.pointer("/metadata/namespace").is_none_or(|namespace| namespace.as_str() == place.namespace);
        if text("/apiVersion") != Some(&version) || !is_named || !is_placed {
            return Err("send a body that does not match the path".to_owned());
        }
        let served = self.served.get(&(place.group.to_owned(), place.resource.to_owned()));
        if served.is_some_and(|(known, namespaced)| known != kind || *namespaced != place.namespace.is_some()) {
            return Err(format!("write a {kind} as {}", place.resource));
        }
        let object = ObjectRef::new(
            place.group,
            kind,
            place.namespace.unwrap_or_default(),
            text("/metadata/name").unwrap_or_default(),
        );
        match place.namespace {
            Some(namespace) if !self.has(namespace) && !self.is_excused(OF_NAMESPACES, &object) => {
                Err(format!("use namespace {namespace}"))
            }
            _ if !self.may_declare(place, kind) && !self.is_excused(OF_KINDS, &object) => {
                Err(format!("declare a {kind}"))
            }
            _ => Ok(()),
        }
    }

    fn is_excused(&self, check: &str, object: &ObjectRef) -> bool {
        self.excused.iter().any(|(id, selector)| *id == check && selector.matches(object))
    }

    fn may_declare(&self, place: &Place<'_>, kind: &str) -> bool {
        let known = (place.group, kind);
        let of_its = match self.kinds.as_deref() {
            None => OWN_KINDS.contains(&known),
            Some(list) => names(list, known) || (APP_KINDS.contains(&known) && names(list, (GROUP, "App"))),
        };
        of_its && (place.namespace.is_some() || names(&self.cluster_kinds, known))
    }
}

/// Whether a list of kinds has one: with its group, or by its name alone.
fn names(list: &[String], (group, kind): (&str, &str)) -> bool {
    let full = format!("{kind}.{group}");
    list.iter().any(|entry| {
        let pattern = Pattern::from(entry.clone());
        pattern.is_match(&full) || (!entry.contains('.') && pattern.is_match(kind))
    })
}

/// A name as it stands in a path.
fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b':' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Suppression, Tenant};
    use serde_json::json;

    fn monitor(tenant: Tenant) -> Monitor {
        let served = |group: &str, kind: &str, plural: &str, namespaced| {
            (
                GroupKind::new(group, kind),
                Served { versions: vec!["v1".to_owned()], plural: plural.to_owned(), namespaced },
            )
        };
        let served = BTreeMap::from([
            served("", "ConfigMap", "configmaps", true),
            served("", "Namespace", "namespaces", false),
            served("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", false),
            served("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true),
        ]);
        let tenant = Tenant { name: "cart".to_owned(), ..tenant };
        let rules = Config { tenants: vec![tenant], ..Config::default() };
        Monitor::of(&rules, &Environment::default(), "cart", &served)
            .unwrap_or_else(|| unreachable!("there is the tenant"))
    }

    fn cart() -> Tenant {
        Tenant {
            namespaces: vec!["cart".to_owned(), "cart-*".to_owned()],
            service_account: Some("cart/deployer".to_owned()),
            ..Tenant::default()
        }
    }

    const DEPLOYER: Option<&str> = Some("system:serviceaccount:cart:deployer");

    fn asked(monitor: &Monitor, method: &str, path: &str, user: Option<&str>, body: &Value) -> Result<(), String> {
        monitor.check(&Asked { method, path, user, body: body.to_string().as_bytes() })
    }

    fn body(version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Value {
        let mut body = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
        if let Some(namespace) = namespace {
            body["metadata"]["namespace"] = json!(namespace);
        }
        body
    }

    #[test]
    fn what_a_tenant_has_passes() {
        let monitor = monitor(cart());
        let text = body("v1", "ConfigMap", Some("cart"), "a:b");
        assert_eq!(asked(&monitor, "PATCH", "/api/v1/namespaces/cart/configmaps/a:b", DEPLOYER, &text), Ok(()));
        let deleted = "/apis/rbac.authorization.k8s.io/v1/namespaces/cart-2/rolebindings/x";
        assert_eq!(asked(&monitor, "DELETE", deleted, DEPLOYER, &json!({})), Ok(()));
    }

    #[test]
    fn whatever_else_is_refused() {
        let monitor = monitor(cart());
        let map = |namespace: &str, name: &str| body("v1", "ConfigMap", Some(namespace), name);
        let binding = body("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, "a");
        let role = body("rbac.authorization.k8s.io/v1", "RoleBinding", Some("cart"), "a");
        for (method, path, user, text) in [
            ("PATCH", "/api/v1/namespaces/cart/configmaps/a", None, map("cart", "a")),
            ("PATCH", "/api/v1/namespaces/cart/configmaps/a", Some("system:admin"), map("cart", "a")),
            ("PATCH", "/api/v1/namespaces/infra/configmaps/a", DEPLOYER, map("infra", "a")),
            ("PATCH", "/api/v1/namespaces/cart/configmaps/a", DEPLOYER, map("infra", "a")),
            ("PATCH", "/api/v1/namespaces/cart/configmaps/a", DEPLOYER, map("cart", "b")),
            ("PATCH", "/api/v1/namespaces/cart/configmaps/a", DEPLOYER, body("v1", "Secret", Some("cart"), "a")),
            ("PATCH", "/api/v1/namespaces/cart/configmaps/../secrets/a", DEPLOYER, map("cart", "a")),
            ("PATCH", "/api/v1/namespaces/cart/configmaps/..", DEPLOYER, map("cart", "..")),
            ("PATCH", "/api/v1/namespaces/cart/pods/a/binding", DEPLOYER, map("cart", "a")),
            ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/a", DEPLOYER, binding),
            ("PATCH", "/apis/rbac.authorization.k8s.io/v1/namespaces/cart/rolebindings/a", DEPLOYER, role),
            ("PATCH", "/api/v1/namespaces/cart", DEPLOYER, body("v1", "Namespace", None, "cart")),
            ("POST", "/api/v1/namespaces/cart/configmaps", DEPLOYER, map("cart", "a")),
            ("DELETE", "/api/v1/namespaces/cart/configmaps/a", None, json!({})),
            ("DELETE", "/api/v1/namespaces/cart/configmaps", DEPLOYER, json!({})),
        ] {
            assert!(asked(&monitor, method, path, user, &text).is_err(), "{method} {path} {user:?} {text}");
        }
    }

    #[test]
    fn a_protected_environment_needs_an_identity_and_stars_name_no_namespace_of_kubernetes() {
        let tenant = |account: Option<&str>| Tenant {
            name: "cart".to_owned(),
            namespaces: vec!["*".to_owned()],
            service_account: account.map(str::to_owned),
            ..Tenant::default()
        };
        let ask = |account: Option<&str>, protected: bool, by_rules: bool, namespace: &str| {
            let environment = Environment { name: "live".to_owned(), protected, ..Environment::default() };
            let of_rules = Environment { protected: by_rules, ..environment.clone() };
            let rules = Config { tenants: vec![tenant(account)], environments: vec![of_rules], ..Config::default() };
            let monitor = Monitor::of(&rules, &environment, "cart", &BTreeMap::new())
                .unwrap_or_else(|| unreachable!("there is the tenant"));
            let path = format!("/api/v1/namespaces/{namespace}/configmaps/a");
            let user = account.map(|_| "system:serviceaccount:cart:deployer");
            asked(&monitor, "PATCH", &path, user, &body("v1", "ConfigMap", Some(namespace), "a")).is_ok()
        };
        assert!(ask(None, false, false, "cart") && ask(Some("cart/deployer"), true, true, "cart"));
        assert!(!ask(None, true, false, "cart") && !ask(None, false, true, "cart"));
        assert!(!ask(None, false, false, "kube-system"));
    }

    /// The platform team may let single objects pass; rules that were narrowed since must not keep an object for ever.
    #[test]
    fn what_the_rules_excuse_passes_and_what_was_applied_once_may_go() {
        let suppression = |check: &str, name: &str| Suppression {
            check: check.to_owned(),
            reason: "known".to_owned(),
            name: Some(name.to_owned().into()),
            ..Suppression::default()
        };
        let rules = Config {
            tenants: vec![Tenant { name: "cart".to_owned(), service_account: None, ..cart() }],
            suppressions: vec![suppression("SPW101", "shared"), suppression("SPW102", "role")],
            ..Config::default()
        };
        let monitor = Monitor::of(&rules, &Environment::default(), "cart", &BTreeMap::new())
            .unwrap_or_else(|| unreachable!("there is the tenant"));
        let map = |name: &str| {
            let path = format!("/api/v1/namespaces/infra/configmaps/{name}");
            asked(&monitor, "PATCH", &path, None, &body("v1", "ConfigMap", Some("infra"), name))
        };
        assert_eq!(map("shared"), Ok(()));
        assert!(map("other").is_err());
        let role = |name: &str| {
            let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/cart/roles/{name}");
            let text = body("rbac.authorization.k8s.io/v1", "Role", Some("cart"), name);
            asked(&monitor, "PATCH", &path, None, &text)
        };
        assert_eq!(role("role"), Ok(()));
        assert!(role("other").is_err());
        assert_eq!(asked(&monitor, "DELETE", "/api/v1/namespaces/infra/configmaps/a", None, &json!({})), Ok(()));
    }

    #[test]
    fn kinds_are_named_with_their_group_or_stand_for_the_only_one() {
        let named = |kinds: &[&str], cluster: &[&str]| {
            let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            monitor(Tenant { kinds: Some(list(kinds)), cluster_kinds: list(cluster), service_account: None, ..cart() })
        };
        let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/cart/rolebindings/a";
        let text = body("rbac.authorization.k8s.io/v1", "RoleBinding", Some("cart"), "a");
        let spin_app = "/apis/core.spinkube.dev/v1alpha1/namespaces/cart/spinapps/a";
        let app = body("core.spinkube.dev/v1alpha1", "SpinApp", Some("cart"), "a");
        assert_eq!(asked(&named(&["App"], &[]), "PATCH", spin_app, None, &app), Ok(()), "an App generates it");
        assert!(asked(&named(&["ConfigMap"], &[]), "PATCH", spin_app, None, &app).is_err());
        for (kinds, expected) in [
            (&["App"][..], false),
            (&["RoleBinding"], true),
            (&["RoleBinding.rbac.authorization.k8s.io"], true),
            (&["RoleBinding.example.com"], false),
            (&["ConfigMap"], false),
            (&[], false),
        ] {
            assert_eq!(asked(&named(kinds, &[]), "PATCH", path, None, &text).is_ok(), expected, "{kinds:?}");
        }
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/a";
        let text = body("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, "a");
        assert!(asked(&named(&["ClusterRoleBinding"], &[]), "PATCH", path, None, &text).is_err());
        assert_eq!(asked(&named(&["*"], &["ClusterRoleBinding"]), "PATCH", path, None, &text), Ok(()));
    }
}
