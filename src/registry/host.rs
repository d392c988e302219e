//! One registry: how it is spoken to, and what it wants to know of who asks.
//!
//! The address that was checked is the one that gets the credentials: nothing asks for it or reads it a second time.

use super::challenge::{Challenge, challenge};
use super::credentials::{Credentials, find};
use super::{Clients, Error, read, within};
use crate::source::chain;
use base64::Engine as _;
use oci_client::Reference;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use std::net::IpAddr;
use std::time::Duration;

/// The largest answer of a token server that is read, in bytes.
const MAX_TOKEN: usize = 64 << 10;

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
    asks: Asks,
    credentials: Credentials,
}

/// How a registry is shown who asks.
#[derive(Clone)]
enum Asks {
    /// Not at all.
    Nothing,
    /// By name and password.
    Password,
    /// By a token.
    Token(TokenServer),
}

/// Who gives tokens for a registry, at an address that was checked.
#[derive(Clone)]
struct TokenServer {
    /// The address.
    realm: Url,
    /// What the registry is called there.
    service: Option<String>,
    /// What speaks to it, which follows no redirect to another host.
    client: Client,
}

/// What a token server answers. Which of the two is there depends on its age.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
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
    pub(super) async fn find(name: String, clients: &Clients, limit: Duration) -> Result<Self, Error> {
        let (scheme, answer) = within(limit, &name, reach(&name, clients.to(&name))).await?;
        if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let why = format!("it answers {} at /v2/", answer.status());
            return Err(Error::Unreachable { host: name, why });
        }
        let asks = asks(&name, answer.headers(), clients)?;
        let credentials = find(&name, limit).await?;
        Ok(Self { name, scheme, asks, credentials })
    }

    /// The beginning of its addresses.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.name)
    }

    /// What a question about an image carries.
    pub(super) async fn authorization(&self, reference: &Reference) -> Result<Authorization, Error> {
        let used = self.credentials.to_string();
        let header = match (&self.asks, &self.credentials) {
            (Asks::Token(server), _) => Some(format!("Bearer {}", self.token(server, reference).await?)),
            (Asks::Password, Credentials::Password { user, password, .. }) => {
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
    async fn token(&self, server: &TokenServer, reference: &Reference) -> Result<String, Error> {
        let url = server.url(reference);
        tracing::debug!(verb = "OCI", method = "GET", %url, "request");
        let mut request = server.client.get(url);
        if let Credentials::Password { user, password, .. } = &self.credentials {
            request = request.basic_auth(user, Some(password));
        }
        let answer = request.send().await.map_err(|error| self.wrong(chain(&error)))?;
        self.judge(answer.status())?;
        let body = read(answer, MAX_TOKEN, "token").await.map_err(|why| self.wrong(why))?;
        token_of(&body).ok_or_else(|| self.wrong(NO_TOKEN.to_owned()))
    }

    /// Whether there is a token in an answer.
    fn judge(&self, status: StatusCode) -> Result<(), Error> {
        let host = self.name.clone();
        match status {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::Unauthorized { host, answer: NO_TOKEN.to_owned(), used: self.credentials.to_string() })
            }
            StatusCode::TOO_MANY_REQUESTS => Err(Error::Busy(host)),
            status => Err(self.wrong(format!("its token server answers {status}"))),
        }
    }

    fn wrong(&self, why: String) -> Error {
        Error::Unreachable { host: self.name.clone(), why }
    }
}

/// What is said of a token server that has none for who asks.
const NO_TOKEN: &str = "it gives no token";

impl TokenServer {
    /// Where the token to read a repository is.
    fn url(&self, reference: &Reference) -> Url {
        let mut url = self.realm.clone();
        let scope = format!("repository:{}:pull", reference.repository());
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = &self.service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url
    }
}

/// The token of an answer, which is one that fits in a header.
pub fn token_of(body: &[u8]) -> Option<String> {
    let answer: Token = serde_json::from_slice(body).ok()?;
    let fits = |token: &String| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    [answer.token, answer.access_token].into_iter().flatten().find(fits)
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

/// How the headers of an answer want to be answered.
fn asks(name: &str, headers: &HeaderMap, clients: &Clients) -> Result<Asks, Error> {
    let headers: Result<Vec<_>, _> = headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::to_str).collect();
    let read = headers.ok().and_then(|headers| challenge(headers.into_iter()));
    let why = "its `WWW-Authenticate` cannot be read, or says something twice: nothing was sent";
    match read.ok_or_else(|| Error::Unreachable { host: name.to_owned(), why: why.to_owned() })? {
        Challenge::None => Ok(Asks::Nothing),
        Challenge::Basic => Ok(Asks::Password),
        Challenge::Bearer { realm, service } => {
            let realm = token_server(name, &realm)?;
            let client = clients.to(realm.host_str().unwrap_or_default()).clone();
            Ok(Asks::Token(TokenServer { realm, service, client }))
        }
    }
}

/// The address of a token server. Credentials go there over TLS only, but between registry and server on this machine.
///
/// # Errors
/// It is not an address, holds credentials, or would carry them where others can read them.
pub fn token_server(name: &str, realm: &str) -> Result<Url, Error> {
    let wrong = |why: String| Error::Unreachable { host: name.to_owned(), why };
    let url = Url::parse(realm).map_err(|error| wrong(format!("its token server `{realm}` is no address: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("the address of its token server holds credentials of its own".to_owned()));
    }
    let is_here = || is_loopback(name) && url.host_str().is_some_and(is_loopback);
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here());
    if is_safe { Ok(url) } else { Err(Error::Insecure { host: name.to_owned(), realm: realm.to_owned() }) }
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
        let error = |name: &str, realm: &str| token_server(name, realm).err().map(|error| error.to_string());
        assert_eq!(error("r.example", "https://auth.example/t"), None);
        assert_eq!(error("127.0.0.1:5000", "https://auth.example/t"), None);
        assert_eq!(error("127.0.0.1:5000", "http://[::1]:5001/t"), None);
        for (name, realm) in [
            ("r.example", "http://auth.example/t"),
            ("r.example", "http://127.0.0.1:5001/t"),
            ("r.example", "http://localhost/t"),
            ("localhost:5000", "http://auth.example/t"),
            ("localhost:5000", "ftp://localhost/"),
        ] {
            assert!(error(name, realm).is_some_and(|text| text.contains("nothing was sent")), "{name} {realm}");
        }
        assert!(error("r.example", "").is_some_and(|text| text.contains("no address")));
        assert!(error("r.example", "https://a:b@auth.example/t").is_some_and(|text| !text.contains("a:b")));
    }

    #[test]
    fn tokens_are_those_that_fit_in_a_header() {
        let token = |text: &str| token_of(text.as_bytes());
        assert_eq!(token("{\"token\": \"a.b\", \"expires_in\": 300}").as_deref(), Some("a.b"));
        assert_eq!(token("{\"access_token\": \"a\"}").as_deref(), Some("a"));
        assert_eq!(token("{\"token\": \"\", \"access_token\": \"a\"}").as_deref(), Some("a"));
        for none in ["{}", "[]", "", "{\"token\": \"\"}", "{\"token\": \"a b\"}", "{\"token\": 1}"] {
            assert_eq!(token(none), None, "{none}");
        }
    }
}
