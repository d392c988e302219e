//! OCI registries: which content a tag stands for today.
//!
//! Credentials leave this program only over TLS, or to this machine itself (`host.rs`); whatever a registry answers is read
//! within bounds.

mod challenge;
mod credentials;
mod host;

pub use challenge::{Challenge, challenge};
pub use host::{token_of, token_server};

use crate::desired::pin::is_digest;
use crate::object::hex;
use crate::source::{chain, same_host};
use host::{Authorization, Host};
use oci_client::Reference;
use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Method, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The largest manifest that is read, in bytes: as much as registries take.
const MAX_MANIFEST: usize = 4 << 20;
/// The header in which a registry says the digest of what it has.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const ACCEPTED: [&str; 4] =
    [OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE];

/// Why the content of a tag is not known. What registries and helpers said is in it as it came.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It is no image.
    #[error("this is no image: {0}")]
    Reference(String),
    /// The certificates of the authority cannot be used.
    #[error("{}: {why}", .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The credentials for a registry cannot be used.
    #[error("the credentials for {host} cannot be used: {why}")]
    Credentials {
        /// The registry.
        host: String,
        /// What is wrong with them.
        why: String,
    },
    /// The registry does not answer, or not as one.
    #[error("{host} cannot be used: {why}")]
    Unreachable {
        /// The registry.
        host: String,
        /// What happened.
        why: String,
    },
    /// The registry did not answer in time.
    #[error("{host} did not answer within {seconds} s")]
    Late {
        /// The registry.
        host: String,
        /// The seconds it had.
        seconds: f64,
    },
    /// The registry wants credentials where others could read them.
    #[error("{host} has credentials sent to {realm}, where others could read them: nothing was sent")]
    Insecure {
        /// The registry.
        host: String,
        /// Where they should go.
        realm: String,
    },
    /// The registry wants other credentials, or some.
    #[error("{host} refuses to show it ({answer}) {used}")]
    Unauthorized {
        /// The registry.
        host: String,
        /// What it answered.
        answer: String,
        /// With which credentials it was asked.
        used: String,
    },
    /// There is no such tag.
    #[error("{host} has no tag `{tag}` of `{repository}`")]
    Missing {
        /// The registry.
        host: String,
        /// The repository in it.
        repository: String,
        /// The tag.
        tag: String,
    },
    /// The registry is asked too often.
    #[error("{0} is asked too often (429)")]
    Busy(String),
}

/// What a look at a registry gave.
type Looked = OnceCell<Result<Host, Error>>;

/// How other machines are spoken to, and how this one.
struct Clients {
    /// By the proxy of the environment.
    remote: Client,
    /// By no proxy.
    local: Client,
}

impl Clients {
    /// The one for a host (`HOST[:PORT]`).
    fn to(&self, host: &str) -> &Client {
        if host::is_loopback(host) { &self.local } else { &self.remote }
    }
}

/// The registries that were asked so far.
pub struct Registries {
    clients: Clients,
    limit: Duration,
    hosts: Mutex<BTreeMap<String, Arc<Looked>>>,
}

impl Registries {
    /// Registries whose certificates are trusted as the system trusts them, or by the authorities of a file too; each
    /// question may take so long.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(authority: Option<&Path>, limit: Duration) -> Result<Self, Error> {
        let authorities = authority.map(read_authorities).transpose()?.unwrap_or_default();
        let wrong = |error: reqwest::Error| Error::Authority {
            path: authority.unwrap_or(Path::new("the system's authorities")).to_owned(),
            why: chain(&error),
        };
        let remote = client(&authorities).and_then(ClientBuilder::build).map_err(wrong)?;
        let local = client(&authorities).and_then(|client| client.no_proxy().build()).map_err(wrong)?;
        Ok(Self { clients: Clients { remote, local }, limit, hosts: Mutex::default() })
    }

    /// The digest of what the tag of an image stands for.
    ///
    /// # Errors
    /// It is no image, or its registry does not tell.
    pub async fn digest(&self, image: &str) -> Result<String, Error> {
        let reference = reference(image)?;
        let host = self.host(&reference).await?;
        within(self.limit, &host.name, self.ask(&host, &reference)).await
    }

    async fn ask(&self, host: &Host, reference: &Reference) -> Result<String, Error> {
        let authorization = host.authorization(reference).await?;
        let asked = Asked { host, reference, authorization };
        let head = asked.send(self.clients.to(&host.name), Method::HEAD).await?;
        // Some registries have no HEAD here, or do not say the digest then.
        let has_no_head = head.status() == StatusCode::METHOD_NOT_ALLOWED;
        if !has_no_head {
            asked.judge(&head)?;
        }
        if let (false, Some(digest)) = (has_no_head, said(head.headers())) {
            return asked.checked(digest);
        }
        let answer = asked.send(self.clients.to(&host.name), Method::GET).await?;
        asked.judge(&answer)?;
        let said = said(answer.headers()).map(str::to_owned);
        let body = read(answer, MAX_MANIFEST, "manifest").await.map_err(|why| asked.wrong(why))?;
        let digest = format!("sha256:{}", hex(&Sha256::digest(body)));
        match said {
            Some(said) if said != digest => {
                Err(asked.wrong(format!("it says the digest {said} of a manifest that has {digest}")))
            }
            _ => Ok(digest),
        }
    }

    /// The registry of an image; each is looked at once.
    async fn host(&self, reference: &Reference) -> Result<Host, Error> {
        let name = reference.resolve_registry().to_owned();
        let cell = Arc::clone(self.hosts.lock().await.entry(name.clone()).or_default());
        cell.get_or_init(|| Host::find(name.clone(), &self.clients, self.limit)).await.clone()
    }
}

/// Waits for an answer, for so long.
async fn within<T>(limit: Duration, host: &str, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Late { host: host.to_owned(), seconds: limit.as_secs_f64() };
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(late()))
}

/// Reads an answer, of so many bytes at most. The error says why not.
async fn read(mut answer: Response, most: usize, what: &str) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| chain(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("its {what} is larger than {} KiB", most >> 10));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What all clients have in common.
fn client(authorities: &[CertificateDer<'_>]) -> reqwest::Result<ClientBuilder> {
    let mut builder = Client::builder()
        .user_agent(concat!("spinway/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(Policy::custom(same_host));
    for authority in authorities {
        builder = builder.add_root_certificate(Certificate::from_der(authority)?);
    }
    Ok(builder)
}

/// One question for a manifest.
struct Asked<'a> {
    host: &'a Host,
    reference: &'a Reference,
    authorization: Authorization,
}

impl Asked<'_> {
    async fn send(&self, client: &Client, method: Method) -> Result<Response, Error> {
        let tag = self.reference.tag().unwrap_or("latest");
        let url = format!("{}/v2/{}/manifests/{tag}", self.host.url(), self.reference.repository());
        tracing::debug!(verb = "OCI", method = %method, url, "request");
        let mut request = client.request(method, url).header(ACCEPT, ACCEPTED.join(", "));
        if let Some(header) = &self.authorization.header {
            request = request.header(AUTHORIZATION, header.clone());
        }
        request.send().await.map_err(|error| self.wrong(chain(&error)))
    }

    /// Whether there is a manifest in an answer.
    fn judge(&self, answer: &Response) -> Result<(), Error> {
        let host = self.host.name.clone();
        match answer.status() {
            StatusCode::OK => Ok(()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Error::Unauthorized { host, answer: status.to_string(), used: self.authorization.used.clone() })
            }
            StatusCode::NOT_FOUND => Err(Error::Missing {
                host,
                repository: self.reference.repository().to_owned(),
                tag: self.reference.tag().unwrap_or("latest").to_owned(),
            }),
            StatusCode::TOO_MANY_REQUESTS => Err(Error::Busy(host)),
            status => Err(self.wrong(format!("it answers {status}"))),
        }
    }

    fn checked(&self, digest: &str) -> Result<String, Error> {
        if is_digest(digest) {
            return Ok(digest.to_owned());
        }
        Err(self.wrong(format!("the digest it says is not sha256 with 64 hexadecimal digits: {digest}")))
    }

    fn wrong(&self, why: String) -> Error {
        Error::Unreachable { host: self.host.name.clone(), why }
    }
}

/// The digest that an answer says.
fn said(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_DIGEST)?.to_str().ok().filter(|digest| !digest.is_empty())
}

/// An image as registries know it. An address of IP version 6 is not in the grammar of `oci-client`.
fn reference(image: &str) -> Result<Reference, Error> {
    let read = |text: &str| Reference::try_from(text).map_err(|error| Error::Reference(error.to_string()));
    let Some((host, rest)) = image.split_once('/').filter(|(host, _)| host.starts_with('[')) else {
        return read(image);
    };
    let there = read(&format!("localhost/{rest}"))?;
    let tag = there.tag().unwrap_or("latest").to_owned();
    Ok(Reference::with_tag(host.to_owned(), there.repository().to_owned(), tag))
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |why: String| Error::Authority { path: path.to_owned(), why };
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|error| wrong(error.to_string()))?;
    if read.is_empty() {
        return Err(wrong("it holds no certificate in PEM form".to_owned()));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_those_of_the_registries() {
        let parts = |image: &str| {
            let read = reference(image).expect("an image");
            format!("{} {} {}", read.resolve_registry(), read.repository(), read.tag().unwrap_or_default())
        };
        assert_eq!(parts("nginx:1"), "index.docker.io library/nginx 1");
        assert_eq!(parts("localhost:5000/a/b:2"), "localhost:5000 a/b 2");
        assert_eq!(parts("[::1]:5000/a:3"), "[::1]:5000 a 3");
        for wrong in ["A:1", "a:", "a b", "[::1]/../x:1", "[::1]:x/a:1 ", ""] {
            assert!(reference(wrong).is_err(), "{wrong}");
        }
    }
}
