//! One registry: how it is spoken to, and what it wants to know of who asks.

use super::credentials::{Credentials, find};
use super::{CONNECT, Error, within};
use crate::source::chain;
use base64::Engine as _;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::time::Duration;

/// Whether a registry (`HOST[:PORT]`) is on this machine: then nobody listens in.
pub(super) fn is_loopback(name: &str) -> bool {
    let host = match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => name,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// A registry that answered.
#[derive(Clone)]
pub(super) struct Host {
    /// `HOST[:PORT]`.
    pub(super) name: String,
    scheme: &'static str,
    challenge: Challenge,
    credentials: Credentials,
    client: oci_client::Client,
}

/// How a registry lets itself be shown who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    /// Not at all.
    None,
    /// By name and password.
    Basic,
    /// By a token that another server gives for name and password.
    Bearer(String),
}

/// What a question carries.
pub(super) struct Authorization {
    /// The header, which is kept out of every log.
    pub(super) header: Option<HeaderValue>,
    /// Whose credentials are in it, in words.
    pub(super) used: String,
}

impl Host {
    /// Looks at a registry, which sends nothing of who asks.
    pub(super) async fn find(
        name: String,
        client: &Client,
        authorities: &[CertificateDer<'static>],
        limit: Duration,
    ) -> Result<Self, Error> {
        let (scheme, answer) = within(limit, &name, reach(&name, client)).await?;
        if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let why = format!("it answers {} at /v2/", answer.status());
            return Err(Error::Unreachable { host: name, why });
        }
        let header = answer.headers().get(WWW_AUTHENTICATE).and_then(|header| header.to_str().ok());
        let challenge = header.map_or(Challenge::None, challenge);
        if let Challenge::Bearer(realm) = &challenge {
            check_realm(&name, realm)?;
        }
        let credentials = find(&name, limit).await?;
        let client = authenticator(&name, scheme, authorities)
            .map_err(|error| Error::Unreachable { host: name.clone(), why: chain(&error) })?;
        Ok(Self { name, scheme, challenge, credentials, client })
    }

    /// The beginning of its addresses.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.name)
    }

    /// What a question about an image carries.
    pub(super) async fn authorization(&self, reference: &Reference) -> Result<Authorization, Error> {
        let used = self.credentials.to_string();
        let header = match (&self.challenge, &self.credentials) {
            (Challenge::Bearer(_), credentials) => {
                Some(format!("Bearer {}", self.token(reference, credentials).await?))
            }
            (Challenge::Basic, Credentials::Password { user, password, .. }) => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {pair}"))
            }
            _ => None,
        };
        let unusable =
            |_| Error::Credentials { host: self.name.clone(), why: "they hold control characters".to_owned() };
        let mut header = header.map(|text| HeaderValue::try_from(text).map_err(unusable)).transpose()?;
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        Ok(Authorization { header, used })
    }

    /// A token to read one repository.
    async fn token(&self, reference: &Reference, credentials: &Credentials) -> Result<String, Error> {
        let auth = match credentials {
            Credentials::Password { user, password, .. } => RegistryAuth::Basic(user.clone(), password.clone()),
            Credentials::None(_) => RegistryAuth::Anonymous,
        };
        let answer = self.client.auth(reference, &auth, RegistryOperation::Pull).await;
        let host = self.name.clone();
        let no_token = || "it gives no token".to_owned();
        match answer {
            Ok(token) => token.ok_or_else(|| Error::Unreachable { host, why: no_token() }),
            Err(OciDistributionError::AuthenticationFailure(_)) => {
                Err(Error::Unauthorized { host, answer: no_token(), used: credentials.to_string() })
            }
            Err(error) => Err(Error::Unreachable { host, why: chain(&error) }),
        }
    }
}

/// What a registry answers at the root of its interface, and how it is spoken to: with TLS, but on this machine without where
/// that is understood.
async fn reach(name: &str, client: &Client) -> Result<(&'static str, Response), Error> {
    let ask = |scheme: &str| client.get(format!("{scheme}://{name}/v2/")).send();
    if is_loopback(name) {
        // A server that wants TLS answers 400, or not at all.
        if let Some(answer) = ask("http").await.ok().filter(|answer| answer.status() != StatusCode::BAD_REQUEST) {
            return Ok(("http", answer));
        }
    }
    let answer = ask("https").await;
    let answer = answer.map_err(|error| Error::Unreachable { host: name.to_owned(), why: chain(&error) })?;
    Ok(("https", answer))
}

/// How a `WWW-Authenticate` header wants to be answered.
fn challenge(header: &str) -> Challenge {
    let lower = header.to_ascii_lowercase();
    let Some(start) = lower.find("bearer ") else {
        return if lower.starts_with("basic") { Challenge::Basic } else { Challenge::None };
    };
    let realm = lower[start..].find("realm=\"").map(|at| start + at + "realm=\"".len());
    let realm = realm.and_then(|at| header[at..].split('"').next());
    Challenge::Bearer(realm.unwrap_or_default().to_owned())
}

/// Credentials go to a token server over TLS only, but on this machine.
fn check_realm(name: &str, realm: &str) -> Result<(), Error> {
    let wrong = |why: String| Error::Unreachable { host: name.to_owned(), why };
    let url = Url::parse(realm).map_err(|error| wrong(format!("its token server `{realm}` is no address: {error}")))?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback));
    if safe { Ok(()) } else { Err(Error::Insecure { host: name.to_owned(), realm: realm.to_owned() }) }
}

/// The client that fetches tokens.
fn authenticator(
    name: &str,
    scheme: &str,
    authorities: &[CertificateDer<'static>],
) -> Result<oci_client::Client, OciDistributionError> {
    let plain = if scheme == "http" { vec![name.to_owned()] } else { Vec::new() };
    let der =
        |authority: &CertificateDer<'_>| Certificate { encoding: CertificateEncoding::Der, data: authority.to_vec() };
    let config = ClientConfig {
        protocol: ClientProtocol::HttpsExcept(plain),
        extra_root_certificates: authorities.iter().map(der).collect(),
        connect_timeout: Some(CONNECT),
        user_agent: concat!("spinway/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    let config = if is_loopback(name) {
        // A proxy that is used for nothing: that of the environment has no way to this machine.
        let (proxy, all) = (Some("http://127.0.0.1:9".to_owned()), Some("*,0.0.0.0/0,::/0".to_owned()));
        ClientConfig { http_proxy: proxy.clone(), https_proxy: proxy, no_proxy: all, ..config }
    } else {
        config
    };
    oci_client::Client::try_from(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names_alone() {
        for name in ["localhost", "localhost:5000", "127.0.0.1", "127.8.8.8:80", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in ["localhost.example", "10.0.0.1:80", "127.0.0.1.example:80", "[::2]:1", "ghcr.io", "", ":80"] {
            assert!(!is_loopback(name), "{name}");
        }
    }

    #[test]
    fn credentials_go_nowhere_in_the_clear() {
        let bearer = |realm: &str| challenge(&format!("Bearer service=\"r\",realm=\"{realm}\""));
        assert_eq!(bearer("https://auth.example/t"), Challenge::Bearer("https://auth.example/t".to_owned()));
        assert_eq!(challenge("Basic realm=\"x\""), Challenge::Basic);
        assert_eq!(challenge("Negotiate"), Challenge::None);
        assert_eq!(challenge("Basic realm=\"x\", BEARER Realm=\"y\""), Challenge::Bearer("y".to_owned()));
        let error = |realm: &str| check_realm("r.example", realm).err().map(|error| error.to_string());
        assert_eq!(error("https://auth.example/t"), None);
        assert_eq!(error("http://127.0.0.1:5001/t"), None);
        assert!(error("http://auth.example/t").is_some_and(|text| text.contains("nothing was sent")));
        assert!(error("").is_some_and(|text| text.contains("no address")));
        assert!(error("ftp://localhost/").is_some());
    }
}
