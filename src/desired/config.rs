//! `Config`, the file `spinway.yaml` (design §2).

use super::Member;
use super::deletions::Deletions;
use super::releases::quoted;
use super::settle::Settle;
use super::source::Source;
use super::spelling::misspelt_name;
use super::tree::{Pattern, below, glob};
use crate::kinds::{GATEWAY, HealthRule, SPIN};
use crate::object::{Diagnostic, ObjectRef, Origin};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The API group of the local kinds.
pub const GROUP: &str = "spinway.dev";
/// The partition of everything that no tenant's path covers.
pub const PLATFORM: &str = "platform";

/// `spec` of a Config.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Paths that every environment reads.
    pub sources: Vec<Source>,
    /// Where the inventory is kept.
    pub inventory: InventoryConfig,
    /// The environments, in the order of promotion.
    pub environments: Vec<Environment>,
    /// What is the platform team's.
    pub platform: Platform,
    /// The tenants. Where there are any, a file that is neither a tenant's nor the platform's is an error.
    pub tenants: Vec<Tenant>,
    /// Objects that live elsewhere, so that a reference to them does not dangle.
    pub externals: Vec<Selector>,
    /// Live objects that may be adopted without `--adopt`.
    pub adopt: Vec<Selector>,
    /// Paths whose difference is left alone (law 4).
    pub ignore: Vec<IgnoreRule>,
    /// What to do when another manager holds a declared path (law 4).
    pub conflicts: Conflicts,
    /// Where `Approval` files are read.
    pub approvals: Approvals,
    /// How much may be deleted before it waits for approval, in every environment that does not say otherwise.
    pub deletions: Deletions,
    /// Overrides of health by condition (law 3).
    pub health: Vec<HealthRule>,
    /// The executors that Apps run by.
    pub executors: Executors,
    /// Which release of which Gateway controller serves a GatewayClass.
    pub controllers: Vec<Controller>,
    /// Which release of Gateway API is installed, for checks where no definition is at hand.
    pub gateway_api: GatewayApi,
    /// Findings that are known and not to be said. Those of rules for tenants and for protected environments can be
    /// suppressed here alone.
    pub suppressions: Vec<Suppression>,
    /// What every App has unless it says otherwise: a part of its `spec`. Those of its tenant, then those of the environment
    /// come on top.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub defaults: Value,
}

/// The executors that Apps run by, each of which must be in the namespace of the App.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Executors {
    /// Of Apps that name none.
    pub default: String,
    /// Of Apps with `telemetry: true`: one whose deploymentConfig has an OpenTelemetry endpoint.
    pub telemetry: Option<String>,
}

impl Default for Executors {
    fn default() -> Self {
        Self { default: "containerd-shim-spin".to_owned(), telemetry: None }
    }
}

/// Which release of Gateway API is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatewayApi {
    /// The release: `1.6`; `v1.6` and `1.6.1` mean the same. Default: the newest that is known.
    #[serde(deserialize_with = "quoted")]
    #[schemars(with = "Option<String>")]
    pub release: Option<String>,
    /// The channel; default: not known, so fields of the experimental one are noted and not refused.
    pub channel: Option<Channel>,
}

/// A channel of Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// What is stable.
    Standard,
    /// What may still change, beside it.
    Experimental,
}

/// Which release of which Gateway controller serves a GatewayClass.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controller {
    /// The GatewayClass.
    pub gateway_class: String,
    /// The release: `nginx-gateway-fabric@2.7.0`, `envoy-gateway@1.9`.
    pub release: String,
}

/// Findings of one check that are known, for every object or for those that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suppression {
    /// The id of the check: `SPW104`.
    pub check: String,
    /// Why they are right as they are.
    pub reason: String,
    /// The API group of the objects; absent means any.
    #[serde(default)]
    pub group: Option<String>,
    /// Their kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// Their namespace, a glob.
    #[serde(default)]
    pub namespace: Option<Pattern>,
    /// Their name, a glob.
    #[serde(default)]
    pub name: Option<Pattern>,
}

impl Suppression {
    /// The objects it is about.
    pub fn selector(&self) -> Selector {
        Selector {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// Where the inventory is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InventoryConfig {
    /// The namespace of the inventory's ConfigMaps.
    pub namespace: String,
    /// Earlier names of this Config, whose objects are still its own.
    pub previous_names: Vec<String>,
}

impl Default for InventoryConfig {
    fn default() -> Self {
        Self { namespace: "spinway-system".to_owned(), previous_names: Vec::new() }
    }
}

/// One environment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// Paths that only this environment reads.
    pub sources: Vec<Source>,
    /// Values for `${name}`.
    pub values: BTreeMap<String, Value>,
    /// Which cluster it may touch.
    pub cluster: ClusterRule,
    /// What the agent does about drift.
    pub drift: DriftRule,
    /// How long what takes over requests is given before what served them goes. Default: by the Gateway controllers in use.
    pub settle: Option<Settle>,
    /// Whether destructive change, unpinned images and rewritten history need approval or are refused.
    pub protected: bool,
    /// How much may be deleted in this environment before it waits for approval; what is not given is as for all.
    pub deletions: Deletions,
    /// What every App has in this environment unless it says otherwise.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub defaults: Value,
}

/// What the agent does about fields that others changed. The command line's `apply` always corrects them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftRule {
    /// Write them again.
    Correct,
    /// Report them and leave them.
    #[default]
    Report,
}

/// Which cluster an environment may touch; what is not given is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterRule {
    /// A glob on the kubeconfig context.
    pub context: Option<String>,
    /// The uid of namespace `kube-system`.
    pub uid: Option<String>,
}

/// What is the platform team's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Platform {
    /// The folders of its files; the longest path wins over those of tenants. Default: the sources that hold no tenant's path.
    pub paths: Option<Vec<String>>,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FileOwner<'a> {
    /// A tenant's.
    Tenant(&'a Tenant),
    /// The platform team's.
    Platform,
    /// Nobody's: no rules hold for it, so nothing of it is applied.
    Nobody,
}

/// A team and what it may do: what its lists do not name is refused. `"*"` in a list allows all ([`allows_all`]); only `kinds` and
/// `egress` mean something else when they are not given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tenant {
    /// Its name, which is also that of its partition.
    pub name: String,
    /// The paths of the repository that are its own; the longest wins.
    pub paths: Vec<String>,
    /// Who to tell.
    pub owners: Vec<String>,
    /// Namespaces it may use, globs. Those of Kubernetes (`kube-...`) only when a pattern begins so; that of the inventory never.
    pub namespaces: Vec<String>,
    /// Kinds it may declare: `Deployment`, `Role.rbac.authorization.k8s.io`, globs. When it is not given: what an app needs
    /// (`spinway check --explain SPW102` lists it). `App` stands for what an App generates too.
    pub kinds: Option<Vec<String>>,
    /// Kinds of the whole cluster that it may declare, beside that `kinds` names them.
    pub cluster_kinds: Vec<String>,
    /// Gateways it may attach to: `NAMESPACE/NAME`, or `NAMESPACE/NAME/LISTENER`, globs.
    pub gateways: Vec<String>,
    /// Hostnames it may serve together with others, on its path prefixes.
    pub hostnames: Vec<String>,
    /// Hostnames it may serve with all their paths.
    pub own_hostnames: Vec<String>,
    /// Path prefixes it may serve.
    pub path_prefixes: Vec<String>,
    /// Images it may run, without tag and digest; `*` does not cross `/`.
    pub images: Vec<String>,
    /// Where its apps may connect to: addresses as an App writes them, networks, `namespace:NAME`. When it is not given: anywhere,
    /// but in a protected environment, which requires it.
    pub egress: Option<Vec<String>>,
    /// Service accounts that its pods may run as, beside `default` and those that it declares.
    pub pod_service_accounts: Vec<String>,
    /// The service account (`NAMESPACE/NAME`) that everything of this tenant is done as; a protected environment requires it.
    pub service_account: Option<String>,
    /// What every App of it has unless it says otherwise.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub defaults: Value,
}

/// Namespaces that begin so are Kubernetes' own.
const RESERVED: &str = "kube-";

impl Tenant {
    /// Whether its `namespaces` name one: those of Kubernetes only by a pattern that begins so too.
    pub fn has_namespace(&self, namespace: &str) -> bool {
        let may_name = |pattern: &&String| !namespace.starts_with(RESERVED) || pattern.starts_with(RESERVED);
        self.namespaces.iter().filter(may_name).any(|pattern| glob(pattern, namespace))
    }

    /// Whether it may declare an object of this kind.
    pub fn may_declare(&self, object: &ObjectRef) -> bool {
        let of_its = match &self.kinds {
            None => OWN_KINDS.iter().any(|(group, kind)| object.is(group, kind)),
            Some(kinds) => {
                let is_made_by_app = APP_KINDS.iter().any(|(group, kind)| object.is(group, kind));
                let app = ObjectRef::new(GROUP, "App", object.namespace(), &object.name);
                names(kinds, object) || (is_made_by_app && names(kinds, &app))
            }
        };
        of_its && (object.namespace.is_some() || names(&self.cluster_kinds, object))
    }
}

/// Whether a list of kinds names that of an object. A kind without its group means the core group, or one that is known by this
/// name alone.
fn names(kinds: &[String], object: &ObjectRef) -> bool {
    let names = [object.kind.clone(), format!("{}.{}", object.kind, object.group)];
    kinds.iter().any(|pattern| {
        let with_group = pattern.contains('.');
        names.iter().skip(usize::from(with_group)).any(|name| glob(pattern, name))
    })
}

/// Whether a list of a tenant allows everything.
pub fn allows_all(list: &[String]) -> bool {
    list.iter().any(|entry| entry == "*")
}

/// What an App generates: a tenant that may declare Apps may declare these.
pub const APP_KINDS: [(&str, &str); 7] = [
    (SPIN, "SpinApp"),
    ("", "Service"),
    (GATEWAY, "HTTPRoute"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("keda.sh", "ScaledObject"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("gateway.nginx.org", "ProxySettingsPolicy"),
];

/// What an app needs: the kinds of a tenant without `kinds`.
pub const OWN_KINDS: [(&str, &str); 31] = [
    (GROUP, "App"),
    (SPIN, "SpinApp"),
    // Workloads beside SpinApps, which the same rules hold: images, egress, accounts, fields.
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "ServiceAccount"),
    (GATEWAY, "HTTPRoute"),
    (GATEWAY, "GRPCRoute"),
    (GATEWAY, "BackendTLSPolicy"),
    ("", "Service"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("keda.sh", "ScaledObject"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("monitoring.coreos.com", "ServiceMonitor"),
    ("monitoring.coreos.com", "PodMonitor"),
    ("external-secrets.io", "ExternalSecret"),
    ("bitnami.com", "SealedSecret"),
    // Filters and policies that act on what they are named by, or on routes and Services of their namespace.
    ("gateway.nginx.org", "AuthenticationFilter"),
    ("gateway.nginx.org", "ProxySettingsPolicy"),
    ("gateway.nginx.org", "ClientSettingsPolicy"),
    ("gateway.nginx.org", "UpstreamSettingsPolicy"),
    ("gateway.nginx.org", "ObservabilityPolicy"),
    ("gateway.nginx.org", "RateLimitPolicy"),
    ("gateway.envoyproxy.io", "HTTPRouteFilter"),
    ("gateway.envoyproxy.io", "BackendTrafficPolicy"),
    ("gateway.envoyproxy.io", "SecurityPolicy"),
    ("gateway.kgateway.dev", "TrafficPolicy"),
];

/// Names objects; an absent field matches everything, `namespace` and `name` are globs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Selector {
    /// The API group; absent means any.
    pub group: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// The namespace, a glob.
    pub namespace: Option<Pattern>,
    /// The name, a glob.
    pub name: Option<Pattern>,
}

impl Selector {
    /// Whether it names the object.
    pub fn matches(&self, object: &ObjectRef) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|w| w == value);
        let like = |wanted: &Option<Pattern>, value: &str| wanted.as_ref().is_none_or(|w| w.is_match(value));
        is(&self.group, &object.group)
            && is(&self.kind, &object.kind)
            && like(&self.namespace, object.namespace())
            && like(&self.name, &object.name)
    }
}

/// A path whose difference is left alone, in plan, drift and apply alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreRule {
    /// The API group; absent means any.
    #[serde(default)]
    pub group: Option<String>,
    /// The kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// The namespace, a glob.
    #[serde(default)]
    pub namespace: Option<Pattern>,
    /// The name, a glob.
    #[serde(default)]
    pub name: Option<Pattern>,
    /// The path, with dots; `[]` stands for every item of a list.
    pub path: String,
}

impl IgnoreRule {
    /// The objects it is about.
    pub fn selector(&self) -> Selector {
        Selector {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// What to do with a declared path that another manager holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConflictAction {
    /// Write ours over it, and report from whom.
    Take,
    /// Leave theirs.
    Yield,
    /// Hold the object back.
    Fail,
}

/// The conflict policy of a Config; where it is silent law 4's default decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Conflicts {
    /// For every path that no rule names.
    pub default: Option<ConflictAction>,
    /// The first that matches decides.
    pub rules: Vec<ConflictRule>,
}

/// One rule of the conflict policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConflictRule {
    /// The kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// The path with dots, a prefix.
    #[serde(default)]
    pub path: Option<String>,
    /// The other manager, a glob.
    #[serde(default)]
    pub manager: Option<String>,
    /// What to do.
    pub action: ConflictAction,
}

/// Where `Approval` files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Approvals {
    /// Paths of the repository.
    pub paths: Vec<String>,
}

/// `spec` of an `Approval`: consent to one destruction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The environment it is for.
    pub environment: String,
    /// The destruction digest, as a plan prints it.
    pub digest: String,
    /// When it ends, RFC 3339; at most seven days ahead counts.
    pub expires: String,
    /// The objects that are replaced though nothing proves that the API server accepts what comes instead, each as a plan names
    /// it: `Deployment shop/cart`.
    #[serde(default)]
    pub objects: Vec<String>,
    /// Why, for people: nothing is read in it.
    #[serde(default)]
    pub reason: String,
}

/// Reads a value that stands at a JSON pointer, naming the field of an error.
///
/// # Errors
/// A field is unknown, missing or of the wrong type; the JSON pointer of it and the message.
pub fn typed<'a, T: Deserialize<'a>>(value: &'a Value, at: &str) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = at.to_owned();
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                serde_path_to_error::Segment::Map { key } => {
                    pointer.push_str(&format!("/{}", crate::object::escape(key)));
                }
                _ => {}
            }
        }
        (pointer, error.into_inner().to_string())
    })
}

/// The pointers of the defaults that a Config has for Apps: parts of their `spec`, and of what they override by environment.
pub(super) fn defaults_of(spec: &Value) -> Vec<String> {
    let each = |list: &str| {
        let count = spec.get(list).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(|index| format!("/{list}/{index}/defaults")).collect::<Vec<_>>()
    };
    let layers = std::iter::once("/defaults".to_owned()).chain(each("tenants")).chain(each("environments"));
    let mut found = Vec::new();
    for layer in layers.filter(|pointer| spec.pointer(pointer).is_some()) {
        let by_environment = spec.pointer(&format!("{layer}/environments")).and_then(Value::as_object);
        let names = by_environment.into_iter().flat_map(|map| map.keys());
        found.extend(names.map(|name| format!("/spec{layer}/environments/{}", crate::object::escape(name))));
        found.push(format!("/spec{layer}"));
    }
    found
}

/// Whether a text names a service account: `NAMESPACE/NAME`.
pub(crate) fn is_service_account(text: &str) -> bool {
    let is_name = |name: &str| name.len() <= 253 && name.split('.').all(is_dns_label);
    text.split_once('/').is_some_and(|(namespace, name)| is_dns_label(namespace) && is_name(name))
}

/// Whether a name is a DNS label (RFC 1123).
pub(crate) fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

impl Config {
    /// Whose a file is: the longest path wins. Without tenants everything is the platform's.
    pub fn owner_of(&self, file: &str) -> FileOwner<'_> {
        if self.tenants.is_empty() {
            return FileOwner::Platform;
        }
        let length = |path: &str| path.trim_end_matches('/').len();
        let own = self.tenants.iter().flat_map(|tenant| tenant.paths.iter().map(move |path| (path, tenant)));
        let tenant = own.filter(|(path, _)| below(file, path).is_some()).max_by_key(|(path, _)| length(path));
        let platform = self.platform_paths().filter(|path| below(file, path).is_some()).map(length).max();
        match (tenant, platform) {
            (Some((path, tenant)), platform) if platform.is_none_or(|platform| platform < length(path)) => {
                FileOwner::Tenant(tenant)
            }
            (_, Some(_)) => FileOwner::Platform,
            (_, None) => FileOwner::Nobody,
        }
    }

    /// The folders of the platform team: those that are named, else the sources apart from the tenants' paths; and those of
    /// Approvals outside the tenants' paths.
    fn platform_paths(&self) -> impl Iterator<Item = &str> {
        let named = self.platform.paths.as_deref();
        let sources = self.sources.iter().chain(self.environments.iter().flat_map(|environment| &environment.sources));
        let sources = sources.map(|source| &source.path);
        let apart = |source: &&String| {
            let mut paths = self.tenants.iter().flat_map(|tenant| &tenant.paths);
            paths.all(|path| below(path, source).is_none() && below(source, path).is_none())
        };
        let default = sources.filter(move |source| named.is_none() && apart(source));
        // A folder of Approvals below a tenant's path stays the tenant's: whoever is bound by them could edit them.
        let approvals = self.approvals.paths.iter();
        let approvals =
            approvals.filter(|path| !self.tenants.iter().flat_map(|t| &t.paths).any(|own| below(path, own).is_some()));
        named.unwrap_or_default().iter().chain(default).chain(approvals).map(String::as_str)
    }

    /// The tenant whose path covers a file.
    pub fn tenant_of(&self, file: &str) -> Option<&Tenant> {
        match self.owner_of(file) {
            FileOwner::Tenant(tenant) => Some(tenant),
            FileOwner::Platform | FileOwner::Nobody => None,
        }
    }

    /// The partition of a file.
    pub fn partition_of(&self, file: &str) -> &str {
        self.tenant_of(file).map_or(PLATFORM, |tenant| &tenant.name)
    }

    /// Whether a member is the platform's, or of a tenant that has the namespace.
    pub(super) fn has(&self, member: &Member, namespace: &str) -> bool {
        let tenant = self.tenant_of(&member.object.origin.file);
        tenant.is_none_or(|tenant| tenant.has_namespace(namespace))
    }

    /// Whether an environment is protected, by its own text or by that of these rules.
    pub fn is_protected(&self, environment: &Environment) -> bool {
        environment.protected || self.environments.iter().any(|known| known.name == environment.name && known.protected)
    }

    /// As whom everything of a partition is done: the user name of its tenant's service account, as Kubernetes names it.
    pub fn identity_of(&self, partition: &str) -> Option<String> {
        let (namespace, name) = self.account_of(partition)?;
        Some(format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// The service account of a partition's tenant: namespace and name.
    pub fn account_of(&self, partition: &str) -> Option<(&str, &str)> {
        let tenant = self.tenants.iter().find(|tenant| tenant.name == partition)?;
        tenant.service_account.as_deref()?.split_once('/')
    }

    /// The names of all partitions, `platform` first.
    pub fn partitions(&self) -> Vec<&str> {
        std::iter::once(PLATFORM).chain(self.tenants.iter().map(|t| t.name.as_str())).collect()
    }

    /// The kinds in its rules that are misspelt, so that a rule would hold for nothing: pointer, message and help.
    pub(super) fn misspelt_kinds(&self) -> Vec<(String, String, String)> {
        let mut named: Vec<(String, Option<&String>, Option<&String>)> = Vec::new();
        let selectors = [("externals", &self.externals), ("adopt", &self.adopt)];
        for (list, selectors) in selectors {
            let rows = selectors.iter().enumerate();
            named.extend(rows.map(|(at, row)| (format!("{list}/{at}"), row.group.as_ref(), row.kind.as_ref())));
        }
        let rows = self.ignore.iter().enumerate();
        named.extend(rows.map(|(at, row)| (format!("ignore/{at}"), row.group.as_ref(), row.kind.as_ref())));
        let rows = self.conflicts.rules.iter().enumerate();
        named.extend(rows.map(|(at, row)| (format!("conflicts/rules/{at}"), None, row.kind.as_ref())));
        let rows = self.suppressions.iter().enumerate();
        named.extend(rows.map(|(at, row)| (format!("suppressions/{at}"), row.group.as_ref(), row.kind.as_ref())));
        let told = named.into_iter().filter_map(|(place, group, kind)| {
            let meant = misspelt_name(kind?, group.map(String::as_str))?;
            let message = format!("There is no kind `{}`, so the entry holds for no object.", kind?);
            Some((format!("/spec/{place}/kind"), message, format!("Did you mean `{meant}`?")))
        });
        told.collect()
    }

    /// What is wrong with it beyond its types.
    pub fn check(&self, origin: &Origin) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut say = |message: String| found.push(Diagnostic::error("config", message).at(origin.clone()));
        let names = self.environments.iter().map(|e| &e.name).chain(self.tenants.iter().map(|t| &t.name));
        for name in names.filter(|name| !is_dns_label(name)) {
            say(format!("`{name}` is no name for an environment or tenant: use lower-case letters, digits and `-`."));
        }
        if self.environments.is_empty() {
            say("The Config has no environments.".to_owned());
        }
        let mut seen = std::collections::BTreeSet::new();
        for environment in &self.environments {
            if environment.name.is_empty() || !seen.insert(&environment.name) {
                say(format!("Environment names must be given once each; `{}` is not.", environment.name));
            }
            if environment.protected && environment.cluster.uid.is_none() {
                say(format!(
                    "Environment `{}` is protected, so it must name its cluster by uid (of namespace kube-system).",
                    environment.name
                ));
            }
        }
        for source in self.sources.iter().chain(self.environments.iter().flat_map(|environment| &environment.sources)) {
            if let Some(namespace) =
                source.namespace.as_ref().filter(|name| !name.contains("${") && !is_dns_label(name))
            {
                say(format!("`{namespace}` of source `{}` is not a valid name of a namespace.", source.path));
            }
        }
        let mut seen = std::collections::BTreeSet::from([PLATFORM]);
        for tenant in &self.tenants {
            // An identity that cannot be meant must not end as the agent's own.
            let account = tenant.service_account.as_deref();
            if account.is_some_and(|account| !is_service_account(account)) {
                say(format!(
                    "The serviceAccount of tenant `{}` is not NAMESPACE/NAME of a service account.",
                    tenant.name
                ));
            }
            if tenant.name.is_empty() || !seen.insert(&tenant.name) {
                say(format!("Tenant names must be given once each and not be `{PLATFORM}`; `{}` is not.", tenant.name));
            }
        }
        for path in self.platform.paths.iter().flatten().filter(|path| !path.contains("${")) {
            if let Some(why) = wrong_folder(path) {
                say(format!(
                    "The path `{path}` of `platform` {why}. Write the folder as it is named in the repository."
                ));
            }
        }
        let named = self.platform.paths.iter().flatten().map(|path| (path.trim_end_matches('/'), PLATFORM));
        let mut owners: BTreeMap<&str, &str> = named.collect();
        let paths = self.tenants.iter().flat_map(|tenant| tenant.paths.iter().map(move |path| (tenant, path)));
        // What is named by a value is looked at with the values of each environment.
        for (tenant, path) in paths.filter(|(_, path)| !path.contains("${")) {
            let name = &tenant.name;
            if let Some(why) = wrong_folder(path) {
                say(format!(
                    "The path `{path}` of tenant `{name}` {why}, so no file would be the tenant's. Write the folder as it is \
                     named in the repository: `apps/{name}`."
                ));
            } else if let Some(other) = owners.insert(path.trim_end_matches('/'), name) {
                say(format!(
                    "The path `{path}` is that of tenant `{other}` and of tenant `{name}`: whose rules hold for its files \
                     cannot be told. Leave it to one of them."
                ));
            }
        }
        found
    }
}

/// Why a path is not the literal path of a folder; a `/` at its end is as good as none.
fn wrong_folder(path: &str) -> Option<&'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() || path == "." {
        Some("is empty")
    } else if path.trim() != path || path.chars().any(char::is_control) {
        Some("begins or ends with a blank or has a control character")
    } else if path.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) {
        Some("is a pattern")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("has an empty part, `.` or `..`")
    } else {
        None
    }
}
