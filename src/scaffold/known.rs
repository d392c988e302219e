//! What a repository has already: the defaults of questions, and where new files belong.

use super::Wrong;
use crate::desired::{
    self, CONFIG_FILE, Config, Desired, Environment, FileOwner, OWN_KINDS, ReadError, Tenant, Tree, allows_all, below,
    glob, yaml,
};
use crate::install;
use crate::kinds::{GATEWAY, SPIN, each};
use crate::object::{GroupKind, ObjectRef, Origin};
use crate::routing::{covers, listeners};
use crate::schema::{self, CRD_GROUP, Scopes, crd_versions};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The value of environments that hosts are made of.
const DOMAIN: &str = "domain";

/// The service account that a tenant is applied as, where its namespace has no other of this name.
const DEPLOYER: &str = "deployer";

/// The API groups that come with a Gateway controller, each with its project.
const CONTROLLER_GROUPS: [(&str, &str); 3] = [
    ("gateway.nginx.org", "nginx-gateway-fabric"),
    ("gateway.envoyproxy.io", "envoy-gateway"),
    ("gateway.kgateway.dev", "kgateway"),
];

/// A repository with a Config, as its first environment has it.
pub struct Known {
    /// The Config as it was written: values are not replaced in it.
    config: Config,
    /// What the first environment wants.
    desired: Desired,
    /// The text of the Config.
    text: String,
    /// The folders of the repository.
    folders: BTreeSet<String>,
}

impl Known {
    /// Reads a tree; none without Config.
    ///
    /// # Errors
    /// The Config cannot be used.
    pub fn read(tree: &Tree) -> Result<Option<Self>, ReadError> {
        let Some(config) = desired::config(tree)? else { return Ok(None) };
        let environment = config.environments.first().map(|environment| environment.name.as_str());
        let desired = desired::read(tree, environment)?;
        let text = tree.text(CONFIG_FILE).unwrap_or_default().to_owned();
        let parents = tree.entries.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        let folders = tree.folders.iter().cloned().chain(parents).collect();
        Ok(Some(Self { config, desired, text, folders }))
    }

    /// The environments' names.
    pub fn environments(&self) -> Vec<String> {
        self.config.environments.iter().map(|environment| environment.name.clone()).collect()
    }

    /// The text of the Config.
    pub fn config_text(&self) -> &str {
        &self.text
    }

    /// Namespaces that a new App could be in: those of the team whose folder this is, else of all teams, else all.
    pub fn namespaces(&self, folder: &str) -> Vec<String> {
        let own = self.config.tenant_of(folder).filter(|_| !folder.is_empty());
        let tenants: Vec<&Tenant> = own.map_or_else(|| self.config.tenants.iter().collect(), |own| vec![own]);
        let of_tenants = tenants.into_iter().flat_map(|tenant| &tenant.namespaces);
        let found: Vec<String> = distinct(of_tenants.filter(|name| is_exact(name)).cloned());
        if !found.is_empty() {
            return found;
        }
        self.desired.of_kind("", "Namespace", None).map(|(reference, _)| reference.name.clone()).collect()
    }

    /// The Gateways of the repository and those that it knows to live elsewhere, as `NAMESPACE/NAME`.
    pub fn gateways(&self) -> Vec<String> {
        let own = self.desired.of_kind(GATEWAY, "Gateway", None);
        let own = own.map(|(reference, _)| format!("{}/{}", reference.namespace(), reference.name));
        let elsewhere = self.config.externals.iter().filter(|external| external.kind.as_deref() == Some("Gateway"));
        let elsewhere = elsewhere.filter_map(|external| {
            Some(format!("{}/{}", external.namespace.as_ref()?.as_str(), external.name.as_ref()?.as_str()))
                .filter(|name| is_exact(name))
        });
        distinct(own.chain(elsewhere))
    }

    /// The Gateways that an App of a namespace may attach to, with the listener where the team is bound to one.
    pub fn gateways_for(&self, namespace: &str) -> Vec<String> {
        let all = self.gateways();
        let bound = self.tenant_of_namespace(namespace, "").map(|tenant| &tenant.gateways);
        let Some(bound) = bound.filter(|bound| !bound.is_empty()) else { return all };
        let of = |pattern: &String| match pattern {
            exact if is_exact(exact) => vec![exact.clone()],
            pattern => all.iter().filter(|gateway| glob(pattern, gateway)).cloned().collect(),
        };
        distinct(bound.iter().flat_map(of))
    }

    /// The listener that an App names: the encrypted one that takes its host, else the only one that does.
    pub fn section(&self, gateway: &str, host: Option<&str>) -> Option<String> {
        let (namespace, name) = gateway.split_once('/')?;
        let member = self.desired.objects.get(&ObjectRef::new(GATEWAY, "Gateway", namespace, name))?;
        let host = host.map(|host| desired::with_values(host, &self.desired.environment));
        let text = |listener: &Value, field: &str| listener.get(field).and_then(Value::as_str).map(str::to_owned);
        let takes = |listener: &&Value| match (text(listener, "hostname"), &host) {
            (Some(pattern), Some(host)) => covers(&pattern, host),
            _ => true,
        };
        let all = listeners(&member.object.value);
        let taking: Vec<&Value> = all.into_iter().filter(takes).collect();
        let encrypted = taking.iter().find(|listener| text(listener, "protocol").as_deref() == Some("HTTPS"));
        encrypted.or(taking.first()).and_then(|listener| text(listener, "name"))
    }

    /// The host of a new App: the first that its team has.
    pub fn host_for(&self, namespace: &str, app: &str) -> Option<String> {
        let tenant = self.tenant_of_namespace(namespace, "");
        let first =
            tenant.and_then(|tenant| tenant.hostnames.iter().chain(&tenant.own_hostnames).find(|host| *host != "*"));
        let Some(host) = first else { return self.domain() };
        Some(host.strip_prefix("*.").map_or_else(|| host.clone(), |rest| format!("{app}.{rest}")))
    }

    /// The path prefix of a new App: that of its team which has its name, else one below the team's first.
    pub fn path_for(&self, namespace: &str, app: &str) -> String {
        let own = format!("/{app}");
        let tenant = self.tenant_of_namespace(namespace, "");
        let listed = tenant.into_iter().flat_map(|tenant| &tenant.path_prefixes);
        let prefixes: Vec<&String> = listed.filter(|prefix| *prefix != "*").collect();
        match prefixes.first() {
            Some(first) if !prefixes.iter().any(|prefix| prefix.trim_end_matches('/') == own) => {
                format!("{}{own}", first.trim_end_matches('/'))
            }
            _ => own,
        }
    }

    /// The images that a team of this name may run, by the example of the others: their pattern with this name in it.
    pub fn images_for(&self, tenant: &str) -> Option<String> {
        self.config.tenants.iter().find_map(|other| {
            let pattern = other.images.iter().find(|pattern| pattern.split('/').any(|part| part == other.name))?;
            let parts = pattern.split('/').map(|part| if part == other.name { tenant } else { part });
            Some(parts.collect::<Vec<_>>().join("/"))
        })
    }

    /// `${domain}`, where every environment says what that is.
    pub fn domain(&self) -> Option<String> {
        let says = |environment: &Environment| environment.values.get(DOMAIN).is_some_and(Value::is_string);
        self.config.environments.iter().all(says).then(|| format!("${{{DOMAIN}}}"))
    }

    /// GatewayClasses of the repository and those that it knows to live elsewhere.
    pub fn classes(&self) -> Vec<String> {
        let own = self.desired.of_kind(GATEWAY, "GatewayClass", None).map(|(reference, _)| reference.name.clone());
        let served = self.config.controllers.iter().map(|controller| controller.gateway_class.clone());
        let elsewhere =
            self.config.externals.iter().filter(|external| external.kind.as_deref() == Some("GatewayClass"));
        distinct(
            own.chain(served)
                .chain(elsewhere.filter_map(|external| external.name.as_ref().map(|name| name.as_str().to_owned())))
                .filter(|name| is_exact(name)),
        )
    }

    /// The namespaces of the Gateways that the repository has.
    pub fn gateway_namespaces(&self) -> Vec<String> {
        distinct(self.desired.of_kind(GATEWAY, "Gateway", None).map(|(reference, _)| reference.namespace().to_owned()))
    }

    /// The namespaces that a new App may be in: those that tenants have by name, and those that the repository declares or knows to
    /// live elsewhere.
    pub(super) fn all_namespaces(&self) -> Vec<String> {
        let of_tenants = self.desired.rules().tenants.iter().flat_map(|tenant| &tenant.namespaces);
        let declared = self.desired.of_kind("", "Namespace", None).map(|(reference, _)| reference.name.clone());
        let external = self.config.externals.iter().filter(|external| external.kind.as_deref() == Some("Namespace"));
        let external = external.filter_map(|external| Some(external.name.as_ref()?.as_str().to_owned()));
        distinct(of_tenants.cloned().chain(declared).chain(external).filter(|name| is_exact(name)))
    }

    /// Whether a namespace is a tenant's, declared, or may live elsewhere.
    pub(super) fn may_have_namespace(&self, name: &str) -> bool {
        let namespace = ObjectRef::new("", "Namespace", "", name);
        self.tenant_of_namespace(name, "").is_some()
            || self.has_namespace(name)
            || self.config.externals.iter().any(|external| external.kind.is_some() && external.matches(&namespace))
    }

    /// Whether the repository declares a namespace.
    pub(super) fn has_namespace(&self, name: &str) -> bool {
        self.desired.objects.contains_key(&ObjectRef::new("", "Namespace", "", name))
    }

    /// Whether the repository has a folder.
    pub(super) fn has_folder(&self, folder: &str) -> bool {
        self.folders.contains(folder)
    }

    /// Whether the repository declares a service account.
    pub(super) fn has_service_account(&self, namespace: &str, name: &str) -> bool {
        self.desired.objects.contains_key(&ObjectRef::new("", "ServiceAccount", namespace, name))
    }

    /// The service account of a new tenant: `deployer` of its namespace, unless the namespace has one for another tenant.
    pub fn service_account_for(&self, tenant: &str, namespace: &str) -> String {
        let is_taken = |name: &str| {
            let account = format!("{namespace}/{name}");
            self.has_service_account(namespace, name)
                || self.config.tenants.iter().any(|other| other.service_account.as_deref() == Some(&account))
        };
        let name = if is_taken(DEPLOYER) { format!("{tenant}-{DEPLOYER}") } else { DEPLOYER.to_owned() };
        format!("{namespace}/{name}")
    }

    /// Whether the tenant that has a namespace has a limit to where its apps may connect.
    pub(super) fn limits_egress(&self, namespace: &str) -> bool {
        let egress = self.tenant_of_namespace(namespace, "").and_then(|tenant| tenant.egress.as_ref());
        egress.is_some_and(|egress| !allows_all(egress))
    }

    /// Whether clusters of this repository can serve an API group: all that is not of another Gateway controller than those it
    /// names for its GatewayClasses.
    pub(super) fn may_have(&self, group: &str) -> bool {
        let Some((_, project)) = CONTROLLER_GROUPS.iter().find(|(own, _)| *own == group) else { return true };
        let controllers = &self.config.controllers;
        let is_known = |class: &String| controllers.iter().any(|controller| controller.gateway_class == *class);
        let is_defined = || self.definitions().any(|(defined, _)| defined.group == group);
        let serves = |release: &str| release.split('@').next() == Some(project);
        controllers.is_empty()
            || !self.classes().iter().all(is_known)
            || controllers.iter().any(|controller| serves(&controller.release))
            || is_defined()
    }

    /// The API group of a kind that was named without one: the core group, or the only one that has it.
    pub(super) fn group_of(&self, name: &str) -> Option<String> {
        let own = OWN_KINDS.iter().filter(|(_, kind)| *kind == name).map(|(group, _)| (*group).to_owned());
        let defined = self.definitions().filter(|(kind, _)| kind.kind == name).map(|(kind, _)| kind.group);
        let known = schema::groups_of(name).into_iter().map(str::to_owned);
        let groups: BTreeSet<String> = own.chain(defined).chain(known).collect();
        if groups.contains("") || groups.len() == 1 { groups.into_iter().next() } else { None }
    }

    /// Whether a kind is namespaced; none where neither spinway nor the repository says.
    pub(super) fn is_namespaced(&self, kind: &GroupKind) -> Option<bool> {
        Scopes::with_crds(self.desired.objects.values().map(|member| &member.object.value)).namespaced(kind)
    }

    /// The name of a kind in API paths and in RBAC.
    pub(super) fn resource(&self, kind: &GroupKind) -> String {
        install::resource(&self.desired, kind)
    }

    /// The kinds that the repository defines.
    fn definitions(&self) -> impl Iterator<Item = (GroupKind, &Vec<Value>)> {
        let all = self.desired.of_kind(CRD_GROUP, "CustomResourceDefinition", None);
        all.filter_map(|(_, member)| crd_versions(&member.object.value))
    }

    /// The executor of Apps that name none.
    pub(super) fn executor(&self) -> &str {
        &self.config.executors.default
    }

    pub(super) fn has_executor(&self, namespace: &str, name: &str) -> bool {
        self.desired.objects.contains_key(&ObjectRef::new(SPIN, "SpinAppExecutor", namespace, name))
    }

    /// The RuntimeClass of an executor of this name that there is.
    pub(super) fn runtime_class(&self, executor: &str) -> Option<&str> {
        let mut all = self.desired.of_kind(SPIN, "SpinAppExecutor", None).filter(|(known, _)| known.name == executor);
        all.find_map(|(_, member)| member.object.value.pointer("/spec/deploymentConfig/runtimeClassName")?.as_str())
    }

    /// The labels that listeners of these Gateways ask of the namespaces of their routes.
    pub(super) fn labels_for(&self, gateways: &[String]) -> BTreeMap<String, String> {
        let objects = gateways.iter().filter_map(|gateway| {
            let mut parts = gateway.split('/');
            let reference = ObjectRef::new(GATEWAY, "Gateway", parts.next()?, parts.next()?);
            self.desired.objects.get(&reference)
        });
        let labels = objects
            .flat_map(|member| {
                each(&member.object.value, "spec.listeners[].allowedRoutes.namespaces.selector.matchLabels")
            })
            .filter_map(|(_, labels)| labels.as_object());
        labels.flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// Where a tenant of this name stands in the Config.
    pub(super) fn place_of_tenant(&self, name: &str) -> Option<Origin> {
        let index = self.config.tenants.iter().position(|tenant| tenant.name == name)?;
        let file: Arc<str> = Arc::from(CONFIG_FILE);
        let (documents, _) = yaml::read(&file, &self.text);
        let position = documents.first()?.positions.nearest(&format!("/spec/tenants/{index}"))?;
        Some(Origin { file, position })
    }

    /// The folder of what is the platform's: the first that is named, else the first that no tenant has.
    pub(super) fn platform_folder(&self) -> Result<&str, Wrong> {
        let named = self.config.platform.paths.iter().flatten().map(|path| plain(path));
        let named = named.filter(|path| is_folder(path) && is_exact(path) && self.reads(path));
        let own = named.chain(self.folders()).find(|folder| self.config.owner_of(folder) == FileOwner::Platform);
        own.ok_or_else(|| Wrong::NoFolder("what no tenant has".to_owned()))
    }

    /// The folder of a new tenant: beside those of the others, else below the last that is read.
    pub(super) fn tenant_folder(&self, name: &str) -> Result<String, Wrong> {
        let beside = self.config.tenants.iter().flat_map(|tenant| &tenant.paths).find_map(|path| {
            let (parent, _) = plain(path).rsplit_once('/')?;
            Some(parent.to_owned()).filter(|parent| self.reads(parent))
        });
        let parent = beside.or_else(|| self.folders().next_back().map(str::to_owned));
        parent.map(|parent| join(&parent, name)).ok_or_else(|| Wrong::NoFolder(format!("tenant {name}")))
    }

    /// The folder of a new App: the one that was meant, where the team that has the namespace may write there, else the
    /// first of that team; what no team has is in the last of the platform's.
    pub(super) fn app_folder(&self, namespace: &str, meant: &str) -> Result<String, Wrong> {
        let Some(tenant) = self.tenant_of_namespace(namespace, meant) else {
            let is_own = |folder: &str| self.config.tenant_of(folder).is_none();
            if !meant.is_empty() && is_own(meant) && self.reads(meant) {
                return Ok(meant.to_owned());
            }
            let last = self.folders().rfind(|folder| is_own(folder));
            return last.map(str::to_owned).ok_or_else(|| Wrong::NoFolder("what no tenant has".to_owned()));
        };
        let is_meant = !meant.is_empty() && tenant.paths.iter().any(|path| below(meant, path).is_some());
        if is_meant && self.reads(meant) {
            return Ok(meant.to_owned());
        }
        let mut paths = tenant.paths.iter().map(|path| plain(path));
        let folder = paths.find(|path| is_folder(path) && self.reads(path));
        folder.map(str::to_owned).ok_or_else(|| Wrong::NoFolder(format!("tenant {}", tenant.name)))
    }

    /// Whether every environment reads a folder.
    pub(super) fn reads(&self, folder: &str) -> bool {
        self.config.sources.iter().any(|source| below(folder, &source.path).is_some())
    }

    /// The folders that every environment reads.
    fn folders(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.config.sources.iter().map(|source| plain(&source.path)).filter(|source| is_folder(source))
    }

    /// The tenant that has a namespace, as it was written; of several the one whose folder was meant.
    fn tenant_of_namespace(&self, namespace: &str, meant: &str) -> Option<&Tenant> {
        let is_of = |tenant: &Tenant| tenant.has_namespace(namespace);
        // Values are replaced in one of the two; their tenants are the same.
        let replaced = &self.desired.rules().tenants;
        let having = || self.config.tenants.iter().zip(replaced).filter(|(_, known)| is_of(known)).map(|(own, _)| own);
        let meant = having().find(|t| !meant.is_empty() && t.paths.iter().any(|path| below(meant, path).is_some()));
        meant.or_else(|| having().next())
    }
}

fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a path can be that of a folder: no manifest, and nothing above the repository.
fn is_folder(path: &str) -> bool {
    let is_file = [".yaml", ".yml", ".json"].iter().any(|suffix| path.ends_with(suffix));
    !is_file && !path.split('/').any(|part| part == "..") && !path.starts_with('/')
}

/// Whether a text names one thing, and is neither a pattern nor made of values.
fn is_exact(text: &str) -> bool {
    !text.contains(['*', '?', '[', '{', '!', '$'])
}

fn distinct(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items.filter(|item| seen.insert(item.clone())).collect()
}
