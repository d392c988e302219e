//! The credentials for registries, as docker keeps them: `config.json`, and the programs that it names.

use super::Error;
use docker_credential::{CredentialRetrievalError as Why, DockerCredential};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Who asks a registry.
#[derive(Clone)]
pub(super) enum Credentials {
    /// Nobody, and where nothing was found.
    None(String),
    /// Someone by name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
        /// Where they were found.
        found: String,
    },
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(place) => write!(f, "without credentials: {place} has none for it"),
            Self::Password { user, found, .. } => write!(f, "to `{user}`, the credentials of {found}"),
        }
    }
}

/// The file in which docker keeps credentials: in DOCKER_CONFIG, or in ~/.docker.
fn file() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    Some(folder?.join("config.json"))
}

/// The names under which docker keeps the credentials for a registry.
fn names(host: &str) -> Vec<&str> {
    match host {
        "index.docker.io" => vec!["https://index.docker.io/v1/", "index.docker.io", "docker.io"],
        host => vec![host],
    }
}

/// Finds the credentials for a registry. A helper is a program that may take its time, but no longer than this.
pub(super) async fn find(host: &str, limit: Duration) -> Result<Credentials, Error> {
    let asked = host.to_owned();
    let failed = |why: String| Error::Credentials { host: host.to_owned(), why };
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(move || look_up(&asked))).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("a credential helper did not answer within {} s", limit.as_secs_f64()))),
    }
}

fn look_up(host: &str) -> Result<Credentials, Error> {
    let Some(file) = file() else {
        return Ok(Credentials::None("HOME is not set, so docker's configuration".to_owned()));
    };
    let place = file.display().to_string();
    if !file.exists() {
        return Ok(Credentials::None(format!("{place}, which is not there,")));
    }
    for name in names(host) {
        match docker_credential::get_credential(name) {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                return Ok(Credentials::Password { user, password, found: place });
            }
            Ok(DockerCredential::IdentityToken(_)) => {
                return Err(wrong(
                    host,
                    &place,
                    "they are an identity token; log in by name and password, or by name and access token",
                ));
            }
            Err(Why::NoCredentialConfigured) => {}
            Err(Why::HelperFailure { stdout, stderr, .. }) if is_absence(&stdout) || is_absence(&stderr) => {}
            Err(why) => return Err(wrong(host, &place, &reason(&why))),
        }
    }
    Ok(Credentials::None(place))
}

/// Whether a helper says that it has none, in the words of docker's own.
fn is_absence(said: &str) -> bool {
    said.contains("credentials not found")
}

fn wrong(host: &str, place: &str, why: &str) -> Error {
    Error::Credentials { host: host.to_owned(), why: format!("{place}: {why}") }
}

/// What is wrong, without what a helper wrote: there may be a secret in it.
fn reason(why: &Why) -> String {
    match why {
        Why::HelperFailure { helper, .. } => format!("`{helper} get` failed"),
        Why::HelperCommunicationError => {
            "a credential helper that it names (docker-credential-NAME on PATH) cannot be run".to_owned()
        }
        Why::MalformedHelperResponse => "a credential helper that it names answers no credentials".to_owned(),
        Why::CredentialDecodingError => "`auth` is not `NAME:PASSWORD` in base64".to_owned(),
        Why::CredentialMismatchError => "`auth` says other than `username` and `password`".to_owned(),
        Why::ConfigReadError | Why::ConfigNotFound => "it cannot be read as docker's configuration".to_owned(),
        Why::NoCredentialConfigured => "it has none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_is_known_by_all_its_names() {
        let auth = "dTpw"; // u:p
        for key in ["https://index.docker.io/v1/", "index.docker.io", "docker.io"] {
            let config = format!("{{\"auths\": {{\"{key}\": {{\"auth\": \"{auth}\"}}}}}}");
            let read = |name: &str| docker_credential::get_credential_from_reader(config.as_bytes(), name);
            let found = names("index.docker.io").into_iter().find_map(|name| read(name).ok());
            assert_eq!(found, Some(DockerCredential::UsernamePassword("u".to_owned(), "p".to_owned())), "{key}");
        }
        assert_eq!(names("ghcr.io"), ["ghcr.io"]);
    }
}
