//! The API server: connecting, reading live state, writing.
//!
//! **Invariant:** every request goes through [`Cluster::send`], which counts it, bounds it in time and takes secret values
//! out of what the server answers to a failure.

mod discovery;
mod listing;
mod write;

pub use listing::Reading;
pub use write::{Mode, is_other, with_identity};

use crate::object::{ObjectRef, Untrusted};
use crate::plan::Refused;
use http::{Method, Request, Response};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the API server could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Config(String),
    /// The API server cannot be reached or does not answer as one.
    #[error("the API server cannot be used: {0}")]
    Server(String),
}

/// A connection to an API server.
pub struct Cluster {
    client: kube::Client,
    /// The kubeconfig context in use.
    pub context: String,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl Cluster {
    /// Connects by a kubeconfig, or from inside a cluster.
    ///
    /// # Errors
    /// The configuration cannot be read or used.
    pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, Error> {
        let wrong = |error: &dyn std::fmt::Display| Error::Config(error.to_string());
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let (mut config, context) = match kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from) {
            Ok(file) => {
                let context = context.map(str::to_owned).or_else(|| file.current_context.clone()).unwrap_or_default();
                let config = kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| wrong(&e))?;
                (config, context)
            }
            Err(error) if kubeconfig.is_some() || context.is_some() => return Err(wrong(&error)),
            Err(error) => (kube::Config::incluster().map_err(|_| wrong(&error))?, "in-cluster".to_owned()),
        };
        let agent = http::HeaderValue::from_static(concat!("spinway/", env!("CARGO_PKG_VERSION")));
        config.headers.push((http::header::USER_AGENT, agent));
        let client = kube::Client::try_from(config).map_err(|e| wrong(&e))?;
        Ok(Self { client, context, counts: Mutex::new(BTreeMap::new()) })
    }

    /// How many requests were sent, by verb.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, verb: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(verb).or_default() += 1;
    }

    /// Sends one request, which counts under `verb`; the answer is JSON.
    async fn send(&self, verb: &'static str, request: Request<Vec<u8>>) -> Result<Value, Refused> {
        self.count(verb);
        tracing::debug!(verb, path = %request.uri(), "request");
        let transport = |message: String| Refused {
            message: Untrusted::new(message),
            reason: "Transport".to_owned(),
            ..Refused::default()
        };
        let exchange = async {
            let answer: Response<Body> =
                self.client.send(request.map(Body::from)).await.map_err(|e| transport(e.to_string()))?;
            let code = answer.status().as_u16();
            let bytes = answer.into_body().collect_bytes().await.map_err(|e| transport(e.to_string()))?;
            Ok((code, bytes))
        };
        let (code, bytes) = tokio::time::timeout(REQUEST_TIMEOUT, exchange)
            .await
            .map_err(|_| transport("no answer within 30 s".to_owned()))??;
        let body: Value = serde_json::from_slice(&bytes).map_err(|_| Refused {
            code,
            reason: "NotJson".to_owned(),
            message: Untrusted::new("the answer is no JSON"),
            ..Refused::default()
        })?;
        if (200..300).contains(&code) { Ok(body) } else { Err(refusal(code, &body)) }
    }

    async fn read(&self, verb: &'static str, path: &str, accept: &str) -> Result<Value, Refused> {
        let request =
            Request::builder().method(Method::GET).uri(path).header(http::header::ACCEPT, accept).body(Vec::new());
        match request {
            Ok(request) => self.send(verb, request).await,
            Err(error) => Err(Refused { message: Untrusted::new(error.to_string()), ..Refused::default() }),
        }
    }
}

/// A `Status` of Kubernetes as a refusal.
fn refusal(code: u16, status: &Value) -> Refused {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let causes = status.pointer("/details/causes").and_then(Value::as_array).cloned().unwrap_or_default();
    let (conflicts, invalid): (Vec<&Value>, Vec<&Value>) =
        causes.iter().partition(|c| text(c, "reason") == "FieldManagerConflict");
    Refused {
        code,
        reason: text(status, "reason"),
        message: Untrusted::new(text(status, "message")),
        conflicts: conflicts
            .into_iter()
            .map(|c| (Untrusted::new(text(c, "field")), Untrusted::new(text(c, "message"))))
            .collect(),
        invalid: invalid.into_iter().map(|c| (text(c, "field"), text(c, "message"))).collect(),
        proved: None,
    }
}

/// Takes secret values out of a refusal: the API server repeats them in messages about ill-typed Secrets. Of a Secret
/// only the fields are kept; of other objects the given values are struck out.
fn redact(object: &ObjectRef, body: &Value, refused: Refused) -> Refused {
    if object.is("", "Secret") {
        let fields: Vec<String> = refused.invalid.iter().map(|(field, _)| field.clone()).collect();
        let about = if fields.is_empty() { String::new() } else { format!(" about {}", fields.join(", ")) };
        let message = Untrusted::new(format!("the message{about} is withheld, since it may repeat a secret value"));
        let immutable = |(field, message): (String, String)| {
            (field, if message.contains("immutable") { "field is immutable".to_owned() } else { String::new() })
        };
        return Refused { message, invalid: refused.invalid.into_iter().map(immutable).collect(), ..refused };
    }
    let mut values = Vec::new();
    if object.is("core.spinkube.dev", "SpinApp") {
        for path in [
            "spec.variables[]",
            "spec.runtimeConfig.keyValueStores[].options[]",
            "spec.runtimeConfig.sqliteDatabases[].options[]",
        ] {
            values.extend(
                crate::kinds::each(body, path)
                    .into_iter()
                    .filter_map(|(_, v)| v.get("value"))
                    .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)),
            );
        }
    }
    let strike = |text: &str| {
        values
            .iter()
            .filter(|v| v.len() > 2)
            .fold(text.to_owned(), |text, value| text.replace(value.as_str(), "(value)"))
    };
    Refused {
        message: Untrusted::new(strike(refused.message.raw())),
        invalid: refused.invalid.iter().map(|(field, message)| (field.clone(), strike(message))).collect(),
        ..refused
    }
}
