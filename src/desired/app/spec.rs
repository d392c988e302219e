//! The fields of an App.

use crate::desired::{Settle, patch};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// `spec` of an App.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct App {
    /// What starts the components. Only http is served by routes and probed.
    #[serde(default)]
    pub trigger: Trigger,
    /// The OCI artifact, best with its digest as `spinway pin` writes it: `registry/name:tag@sha256:...`.
    pub image: String,
    /// How many pods; 2 when neither this nor autoscale is given. An override of one of the two replaces the other.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// As many pods as the load needs.
    #[serde(default)]
    pub autoscale: Option<Autoscale>,
    /// What a pod may use and is promised.
    #[serde(default)]
    pub resources: Option<Resources>,
    /// Values of the application's variables, by their names in the Spin manifest.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// Restart the pods when objects of these kinds change that they refer to and that the repository holds.
    #[serde(default)]
    pub restart_on: Vec<RestartOn>,
    /// Key value stores by name.
    #[serde(default)]
    pub key_value_stores: BTreeMap<String, Store>,
    /// SQLite databases by name.
    #[serde(default)]
    pub sqlite_databases: BTreeMap<String, Store>,
    /// Where large language models are computed.
    #[serde(default)]
    pub llm_compute: Option<Store>,
    /// A Secret with a whole runtime configuration, instead of stores, databases and llmCompute.
    #[serde(default)]
    pub runtime_config_secret: Option<String>,
    /// Where the app may connect to; absent means anywhere, an empty list nowhere. What a NetworkPolicy cannot express (host
    /// names) is opened by port.
    #[serde(default)]
    pub egress: Option<Vec<Egress>>,
    /// How a new version takes over; blueGreen for an app with routes, else inPlace.
    #[serde(default)]
    pub rollout: Rollout,
    /// How requests reach it.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// A second version that gets a part of the requests.
    #[serde(default)]
    pub canary: Option<Canary>,
    /// The components to run; absent means all.
    #[serde(default)]
    pub components: Option<Vec<String>>,
    /// Limits of a single invocation.
    #[serde(default)]
    pub invocation_limits: BTreeMap<InvocationLimit, Quantity>,
    /// Secrets that the image is pulled with.
    #[serde(default)]
    pub image_pull_secrets: Vec<String>,
    /// The service account of its pods.
    #[serde(default)]
    pub service_account: Option<String>,
    /// The SpinAppExecutor of its namespace; otherwise the Config's `executors`.
    #[serde(default)]
    pub executor: Option<String>,
    /// Run by the executor that the Config names for telemetry (`executors.telemetry`): OpenTelemetry is set up there.
    #[serde(default)]
    pub telemetry: bool,
    /// When a pod is ready and alive; for http readiness is Spin's own `/.well-known/spin/health` by default.
    #[serde(default)]
    pub health_checks: HealthChecks,
    /// Overrides by environment: a merge patch (RFC 7386) of this spec.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Map<String, Value>>")]
    pub environments: BTreeMap<String, Value>,
    /// Patches of the objects that the app expands to.
    #[serde(default)]
    pub patches: Vec<patch::Spec>,
}

/// What starts the components of an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// HTTP requests.
    #[default]
    Http,
    /// Messages of a Redis channel.
    Redis,
    /// Messages of an SQS queue.
    Sqs,
    /// Messages of an MQTT topic.
    Mqtt,
    /// Its start.
    Command,
}

/// Bounds and targets of autoscaling.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscale {
    /// The fewest pods.
    pub min: u32,
    /// The most pods.
    pub max: u32,
    /// Target use of the requested CPU, in percent.
    #[serde(default)]
    pub cpu: Option<u32>,
    /// Target use of the requested memory, in percent.
    #[serde(default)]
    pub memory: Option<u32>,
    /// What scales: a HorizontalPodAutoscaler (default), or a ScaledObject of KEDA.
    #[serde(default)]
    pub scaler: Scaler,
    /// Triggers of KEDA, as its ScaledObject has them.
    #[serde(default)]
    #[schemars(with = "Vec<serde_json::Map<String, Value>>")]
    pub triggers: Vec<Value>,
}

/// What scales an app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scaler {
    /// A HorizontalPodAutoscaler.
    #[default]
    Hpa,
    /// A ScaledObject.
    Keda,
}

/// A quantity of Kubernetes: `50m`, `64Mi`, `2`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a quantity: `50m`, `64Mi`, `2`")]
pub enum Quantity {
    /// As a number.
    Number(serde_json::Number),
    /// As a text.
    Text(String),
}

/// What a pod may use and is promised, by resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    /// What is promised.
    pub requests: BTreeMap<String, Quantity>,
    /// What it may use.
    pub limits: BTreeMap<String, Quantity>,
}

/// A key of a ConfigMap or Secret of the app's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyOf {
    /// The object.
    pub name: String,
    /// The key.
    pub key: String,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// A value, or where it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a text, a whole number, a boolean, `{configMap: {name, key}}`, `{secret: {name, key}}` or `{field: PATH}`; put other numbers in quotes"
)]
pub enum Variable {
    /// Kept elsewhere.
    Kept(Kept),
    /// A field of the pod.
    Field(FieldOf),
    /// The value itself: a text, a whole number or a boolean.
    Literal(Literal),
}

/// A value as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Literal {
    /// A text.
    Text(String),
    /// A boolean.
    Boolean(bool),
    /// A whole number.
    Number(i64),
}

impl Literal {
    /// The text of it.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Boolean(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
        }
    }
}

/// Where a value is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Kept {
    /// In a ConfigMap.
    ConfigMap(KeyOf),
    /// In a Secret.
    Secret(KeyOf),
}

/// A field of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldOf {
    /// The path of it: `metadata.name`.
    pub field: String,
}

/// An option of a store: its value, or where it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a text, a whole number, a boolean, `{configMap: {name, key}}` or `{secret: {name, key}}`"
)]
pub enum StoreOption {
    /// Kept elsewhere.
    Kept(Kept),
    /// The value itself.
    Literal(Literal),
}

/// What a restart follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RestartOn {
    /// Secrets, and what makes them (ExternalSecret, SealedSecret, Certificate).
    Secrets,
    /// ConfigMaps.
    ConfigMaps,
}

/// A store, database or compute of Spin's runtime configuration: its type, and options as Spin names them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct Store {
    /// The type, as Spin names it: `redis`, `azure_cosmos`, `libsql`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its options.
    #[serde(flatten)]
    pub options: BTreeMap<String, StoreOption>,
}

/// Where an app may connect to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected `scheme://host[:port]`, `CIDR[:port]` or `{app | labels, namespace, port}`")]
pub enum Egress {
    /// `scheme://host[:port]`, or a CIDR with an optional port: `10.20.0.0/16:6379`.
    Address(String),
    /// Pods of this cluster.
    Pods(Pods),
}

/// Pods of this cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pods {
    /// An App: all its versions.
    #[serde(default)]
    pub app: Option<String>,
    /// Labels of the pods.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Their namespace; the app's own by default.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The port of the pods; absent means every one. An App listens on 80.
    #[serde(default)]
    pub port: Option<u16>,
}

/// How a new version takes over.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rollout {
    /// Whether a new version stands beside the old one.
    #[serde(rename = "type")]
    pub kind: Option<RolloutType>,
    /// How long the old version stays after the last route left it. Default: as the environment says.
    pub settle: Option<Settle>,
    /// What happens when the new version does not become healthy.
    pub on_failure: OnFailure,
}

/// How a new version takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RolloutType {
    /// A SpinApp for each image: routes go to the new one when it is healthy, then the old one is deleted.
    BlueGreen,
    /// One SpinApp, whose pods are replaced.
    InPlace,
}

/// What happens when a new version does not become healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// It stays as it is, and is reported.
    #[default]
    Keep,
    /// The last healthy version of the app comes back until its text changes.
    Rollback,
}

/// One way for requests to reach the app: an HTTPRoute.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// Its name among the routes of the app; only a sole route may go without.
    #[serde(default)]
    pub name: Option<String>,
    /// The Gateway: `NAMESPACE/NAME`, or `NAME` in the app's own namespace.
    pub gateway: String,
    /// The listener of it.
    #[serde(default)]
    pub section: Option<String>,
    /// The port of its listeners.
    #[serde(default)]
    pub port: Option<u16>,
    /// Host names; none means those of the listener.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The path prefix, taken off before the app sees a request.
    #[serde(default = "root")]
    pub path: String,
    /// The path alone, not what is below it.
    #[serde(default)]
    pub exact: bool,
    /// Methods; none means all.
    #[serde(default)]
    pub methods: Vec<Method>,
    /// Headers that a request must have, with their values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters that a request must have, with their values.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// How long an answer may take: `5s`.
    #[serde(default)]
    pub timeout: Option<String>,
    /// How long one try of a request may take.
    #[serde(default)]
    pub backend_timeout: Option<String>,
    /// Tries again.
    #[serde(default)]
    pub retries: Option<Retries>,
    /// The app sees the path as the client sent it.
    #[serde(default)]
    pub keep_prefix: bool,
    /// Sends clients to another route of this app, which keeps the rest of the path.
    #[serde(default)]
    pub redirect_to: Option<String>,
    /// Sends clients elsewhere.
    #[serde(default)]
    pub redirect: Option<Redirect>,
    /// Which other sites' scripts may call it.
    #[serde(default)]
    pub cors: Option<Cors>,
    /// A copy of requests for another app or Service.
    #[serde(default)]
    pub mirror: Option<Mirror>,
    /// Changes of headers of a request.
    #[serde(default)]
    pub request_headers: Option<HeaderChanges>,
    /// Changes of headers of an answer.
    #[serde(default)]
    pub response_headers: Option<HeaderChanges>,
    /// Filters of the Gateway's controller: `{kind: AuthenticationFilter, name: shop-jwt}`.
    #[serde(default)]
    pub policies: Vec<PolicyRef>,
}

fn root() -> String {
    "/".to_owned()
}

/// A method of HTTP (Gateway API HTTPMethod).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

/// Tries again (Gateway API HTTPRouteRetry).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// How many times more.
    pub attempts: u32,
    /// The answers that are tried again.
    #[serde(default)]
    pub codes: Vec<u16>,
    /// The time between two tries.
    #[serde(default)]
    pub backoff: Option<String>,
}

/// Sends clients elsewhere; what is not given stays as the client sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// What takes the place of the route's path.
    pub path: Option<String>,
    /// The status: 301, 302, 303, 307 or 308. 308 by default, which keeps the method.
    pub status: Option<u16>,
}

/// Which other sites' scripts may call it (Gateway API HTTPCORSFilter).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cors {
    /// The sites, `*` for all.
    pub allow_origins: Vec<String>,
    /// The methods, `*` for all.
    pub allow_methods: Vec<String>,
    /// The headers that they may send, `*` for all.
    pub allow_headers: Vec<String>,
    /// The headers of answers that they may read.
    pub expose_headers: Vec<String>,
    /// Whether cookies and the like are sent.
    pub allow_credentials: Option<bool>,
    /// How long a browser may keep the answer, in seconds.
    pub max_age: Option<u32>,
}

/// A copy of requests (Gateway API HTTPRequestMirrorFilter).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// The Service; that of an App has its name.
    pub service: String,
    /// Its namespace; the app's own by default.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its port; 80 by default.
    #[serde(default)]
    pub port: Option<u16>,
    /// The part of the requests, in percent; all by default.
    #[serde(default)]
    pub percent: Option<u8>,
}

/// Changes of headers (Gateway API HTTPHeaderFilter).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeaderChanges {
    /// Headers that get this value alone.
    pub set: BTreeMap<String, String>,
    /// Headers that get this value beside others.
    pub add: BTreeMap<String, String>,
    /// Headers that are taken out.
    pub remove: Vec<String>,
}

/// A filter of a Gateway's controller, in the app's namespace (Gateway API LocalObjectReference).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRef {
    /// The API group; not needed for kinds that spinway knows.
    #[serde(default)]
    pub group: Option<String>,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// A second version of the app, beside the first.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// Its image.
    pub image: String,
    /// The part of the requests that it gets, in percent.
    #[serde(default)]
    pub weight: u8,
    /// Requests that it gets in any case.
    #[serde(default, rename = "match")]
    pub matches: Option<CanaryMatch>,
    /// How many pods; as many as the app, or the fewest of its autoscaling.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Variables that differ from the app's.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
}

/// Requests that the canary gets in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CanaryMatch {
    /// Headers with their values; all must be there.
    pub headers: BTreeMap<String, String>,
    /// Query parameters with their values; all must be there.
    pub query: BTreeMap<String, String>,
}

/// When a pod is ready and alive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthChecks {
    /// When it gets requests.
    pub readiness: Option<Probe>,
    /// When it is restarted.
    pub liveness: Option<Probe>,
}

/// A probe by HTTP on port 80; times in seconds, absent ones as SpinKube has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Probe {
    /// The path; Spin's own by default.
    pub path: Option<String>,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
    /// The time before the first.
    pub initial_delay_seconds: Option<u32>,
    /// How long an answer may take.
    pub timeout_seconds: Option<u32>,
    /// The time between two.
    pub period_seconds: Option<u32>,
    /// How many good ones make it healthy.
    pub success_threshold: Option<u32>,
    /// How many bad ones make it unhealthy.
    pub failure_threshold: Option<u32>,
}

/// A limit of a single invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InvocationLimit {
    /// The most memory.
    Memory,
}
