//! Requests about one object.

use super::{Cluster, redact};
use crate::api::Refused;
use crate::fields::MANAGER;
use crate::live::Served;
use crate::object::{ObjectRef, Untrusted, api_version, meta};
use http::{Method, Request, header};
use serde_json::{Value, json};

/// The URL of an object in a version.
pub(super) fn url(object: &ObjectRef, version: &str, served: &Served) -> String {
    let group_version = api_version(&object.group, version);
    let root = if object.group.is_empty() { "api" } else { "apis" };
    let namespace = object.namespace.as_ref().map(|n| format!("/namespaces/{n}")).unwrap_or_default();
    let name: String = object
        .name
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._:".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    format!("/{root}/{group_version}{namespace}/{}/{name}", served.plural)
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Only ask what would happen.
    pub dry_run: bool,
    /// Take fields from other managers.
    pub force: bool,
}

impl Cluster {
    /// Reads an object; none when it does not exist.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn get(&self, object: &ObjectRef, version: &str, served: &Served) -> Result<Option<Value>, Refused> {
        self.get_as(object, version, served, "application/json").await
    }

    /// Reads only the metadata of an object; none when it does not exist.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn get_metadata(
        &self,
        object: &ObjectRef,
        version: &str,
        served: &Served,
    ) -> Result<Option<Value>, Refused> {
        let found = self
            .get_as(object, version, served, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
            .await?;
        Ok(found.map(|mut value| {
            if let Some(map) = value.as_object_mut() {
                map.insert("apiVersion".to_owned(), json!(api_version(&object.group, version)));
                map.insert("kind".to_owned(), json!(object.kind));
            }
            value
        }))
    }

    async fn get_as(
        &self,
        object: &ObjectRef,
        version: &str,
        served: &Served,
        accept: &str,
    ) -> Result<Option<Value>, Refused> {
        match self.read("GET", &url(object, version, served), accept).await {
            Ok(value) => that_object(object, value).map(Some),
            Err(refused) if refused.code == 404 => Ok(None),
            Err(refused) => Err(redact(object, &Value::Null, refused)),
        }
    }

    /// Applies a text (server-side apply). A text with a uid only ever updates that object (resourceVersion alone would
    /// make a deleted object anew).
    ///
    /// # Errors
    /// The API server refuses; secret values are not in the refusal.
    pub async fn apply(
        &self,
        object: &ObjectRef,
        version: &str,
        served: &Served,
        body: &Value,
        mode: Mode,
    ) -> Result<Value, Refused> {
        let dry_run = if mode.dry_run { "&dryRun=All" } else { "" };
        let uri = format!(
            "{}?fieldManager={MANAGER}&fieldValidation=Strict&force={}{dry_run}",
            url(object, version, served),
            mode.force
        );
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
            .body(body.to_string().into());
        let verb = if mode.dry_run { "dry-run" } else { "PATCH" };
        match request {
            Ok(request) => {
                let answer = self.send(verb, request).await.map_err(|refused| redact(object, body, refused))?;
                that_object(object, answer)
            }
            Err(error) => Err(Refused { message: Untrusted::new(error.to_string()), ..Refused::default() }),
        }
    }

    /// Makes an object that must not be there yet.
    ///
    /// # Errors
    /// The API server refuses; with 409 when it is there.
    pub async fn create(
        &self,
        object: &ObjectRef,
        version: &str,
        served: &Served,
        body: &Value,
    ) -> Result<Value, Refused> {
        let url = url(object, version, served);
        let collection = url.rsplit_once('/').map_or(url.as_str(), |(collection, _)| collection);
        let request = json_request(Method::POST, &format!("{collection}?fieldManager={MANAGER}"), body)?;
        let answer = self.send("POST", request).await.map_err(|refused| redact(object, body, refused))?;
        that_object(object, answer)
    }

    /// Puts an object in the place of the one that was read: its resourceVersion must be in the text.
    ///
    /// # Errors
    /// The API server refuses; with 409 when someone else wrote it since.
    pub async fn replace(
        &self,
        object: &ObjectRef,
        version: &str,
        served: &Served,
        body: &Value,
    ) -> Result<Value, Refused> {
        let uri = format!("{}?fieldManager={MANAGER}", url(object, version, served));
        let request = json_request(Method::PUT, &uri, body)?;
        let answer = self.send("PUT", request).await.map_err(|refused| redact(object, body, refused))?;
        that_object(object, answer)
    }

    /// Changes some fields of an object as a person does, beside what the agent applies.
    ///
    /// # Errors
    /// The API server refuses; with 409 when the text carries a resourceVersion and someone else wrote since.
    pub async fn merge(
        &self,
        object: &ObjectRef,
        version: &str,
        served: &Served,
        patch: &Value,
    ) -> Result<(), Refused> {
        let uri = format!("{}?fieldManager={MANAGER}-cli", url(object, version, served));
        let mut request = json_request(Method::PATCH, &uri, patch)?;
        let merge = header::HeaderValue::from_static("application/merge-patch+json");
        request.headers_mut().insert(header::CONTENT_TYPE, merge);
        self.send("PATCH", request).await.map(|_| ()).map_err(|refused| redact(object, patch, refused))
    }

    /// Who we are to the API server.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn who(&self) -> Result<String, Refused> {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let request = json_request(Method::POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &body)?;
        let answer = self.send("POST", request).await?;
        let name = answer.pointer("/status/userInfo/username").and_then(Value::as_str);
        Ok(name.unwrap_or_default().to_owned())
    }

    /// Deletes an object, if it still is the one of that uid. That it is gone already is no failure.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn delete(&self, object: &ObjectRef, version: &str, served: &Served, uid: &str) -> Result<(), Refused> {
        let body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}, "propagationPolicy": "Background"});
        let request = json_request(Method::DELETE, &url(object, version, served), &body)?;
        match self.send("DELETE", request).await {
            Ok(_) => Ok(()),
            Err(refused) if refused.code == 404 => Ok(()),
            Err(refused) => Err(redact(object, &Value::Null, refused)),
        }
    }
}

/// An answer that is the object that was asked for. Something between us and the server may answer anything with 200.
fn that_object(object: &ObjectRef, answer: Value) -> Result<Value, Refused> {
    if meta(&answer, "name") == object.name && meta(&answer, "namespace") == object.namespace() {
        return Ok(answer);
    }
    let message = Untrusted::new("the answer is not the object that was asked for");
    Err(Refused { message, reason: "NotTheObject".to_owned(), ..Refused::default() })
}

fn json_request(method: Method, uri: &str, body: &Value) -> Result<Request<bytes::Bytes>, Refused> {
    let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
    let wrong = |error: http::Error| Refused { message: Untrusted::new(error.to_string()), ..Refused::default() };
    request.body(body.to_string().into()).map_err(wrong)
}

/// The resourceVersion of the text of an object that must not be there yet: no object has it (etcd's first write is its second
/// revision), so the API server refuses with 409 when there is one. Where there is none it looks at no resourceVersion of a
/// server-side apply (measured on kube-apiserver 1.36).
pub const NOT_THERE: &str = "1";

/// The text of an update of that object: with its uid, and with its resourceVersion where the caller judged a state.
pub fn with_identity(body: &Value, uid: &str, resource_version: &str) -> Value {
    let mut body = body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        if !uid.is_empty() {
            metadata.insert("uid".to_owned(), json!(uid));
        }
        if !resource_version.is_empty() {
            metadata.insert("resourceVersion".to_owned(), json!(resource_version));
        }
    }
    body
}

/// Whether an object is another one than that of the uid.
pub fn is_other(value: &Value, uid: &str) -> bool {
    !uid.is_empty() && meta(value, "uid") != uid
}
