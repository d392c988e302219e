//! Git's smart protocol over SSH: one connection, `git-upload-pack` or `git-receive-pack` run at the other end.

use super::access::{Access, Unreachable, Way};
use super::known_hosts::{Verdict, judge};
use git2::transport::{Service, SmartSubtransportStream};
use russh::client::{self, Handle, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect};
use std::io::{Read, Write};
use std::sync::Arc;

/// The port when the URL names none.
const PORT: u16 = 22;

/// The way over SSH.
pub(super) struct Ssh {
    access: Arc<Access>,
}

impl Way for Ssh {
    fn of(access: Arc<Access>) -> Self {
        Self { access }
    }

    fn open(&self, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Unreachable> {
        let program = match service {
            Service::UploadPackLs | Service::UploadPack => "git-upload-pack",
            Service::ReceivePackLs | Service::ReceivePack => "git-receive-pack",
        };
        let access = Arc::clone(&self.access);
        access.count();
        let lost = || Unreachable::Transport(access.host(), "there is no runtime to connect with".to_owned());
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| lost())?;
        let limit = access.remaining();
        let connected = runtime.block_on(async { tokio::time::timeout(limit, connect(&access, program)).await });
        let (handle, reader, writer) = connected.map_err(|_| slow(&access))??;
        let rest = bytes::Bytes::new();
        Ok(Box::new(Session { access: Arc::clone(&access), runtime, handle, reader, writer, rest }))
    }
}

fn slow(access: &Access) -> Unreachable {
    Unreachable::Limit(access.host(), "it took too long".to_owned())
}

/// Judges the server by the key it shows; keeps why it was refused.
struct Judge {
    access: Arc<Access>,
}

impl client::Handler for Judge {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let (host, port) = place(&self.access);
        let name = if port == PORT { host.to_owned() } else { format!("[{host}]:{port}") };
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            // Certificates of hosts are not asked for, and none is believed.
            self.access.failed(Unreachable::UnknownHost { host: name, shown: "a certificate".to_owned() });
            return Ok(false);
        };
        let failure = match judge(self.access.known_hosts.as_deref().unwrap_or_default(), &name, key) {
            Verdict::Known => return Ok(true),
            Verdict::Unknown(shown) => Unreachable::UnknownHost { host: name, shown },
            Verdict::Changed { shown, known } => Unreachable::ChangedHost { host: name, shown, known },
        };
        self.access.failed(failure);
        Ok(false)
    }
}

fn place(access: &Access) -> (&str, u16) {
    // An IPv6 address stands in brackets in a URL.
    let host = access.url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    (host, access.url.port().unwrap_or(PORT))
}

type Connected = (Handle<Judge>, ChannelReadHalf, ChannelWriteHalf<Msg>);

async fn connect(access: &Arc<Access>, program: &str) -> Result<Connected, Unreachable> {
    let host = access.host();
    let failed = |error: russh::Error| {
        let known = access.take_failure();
        known.unwrap_or_else(|| Unreachable::Transport(access.host(), error.to_string()))
    };
    let Some(identity) = &access.identity else {
        return Err(Unreachable::Unauthorized(host, "there is no file `identity` with an SSH key".to_owned()));
    };
    let key = load_secret_key(identity, access.password.as_deref())
        .map_err(|error| Unreachable::File(identity.clone(), error.to_string()))?;
    let config = Arc::new(client::Config::default());
    let judge = Judge { access: Arc::clone(access) };
    let mut handle = client::connect(config, place(access), judge).await.map_err(failed)?;
    let user = if access.url.username().is_empty() { "git" } else { access.url.username() };
    let hash = handle.best_supported_rsa_hash().await.map_err(failed)?.flatten();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    let accepted = handle.authenticate_publickey(user, key).await.map_err(failed)?;
    if !accepted.success() {
        return Err(Unreachable::Unauthorized(host, format!("the SSH key is not accepted for `{user}`")));
    }
    let channel = handle.channel_open_session().await.map_err(failed)?;
    tracing::debug!(verb = "GIT", program, path = access.url.path(), "request");
    channel.exec(true, command(program, access.url.path())).await.map_err(failed)?;
    let (reader, writer) = channel.split();
    Ok((handle, reader, writer))
}

/// The command line for the other end's shell: the path in single quotes, as git itself quotes it.
fn command(program: &str, path: &str) -> String {
    format!("{program} '{}'", path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

/// A running program at the other end.
struct Session {
    access: Arc<Access>,
    runtime: tokio::runtime::Handle,
    handle: Handle<Judge>,
    reader: ChannelReadHalf,
    writer: ChannelWriteHalf<Msg>,
    rest: bytes::Bytes,
}

impl Session {
    /// The next piece that the program writes; empty at its end.
    async fn next(reader: &mut ChannelReadHalf, access: &Access) -> Result<bytes::Bytes, Unreachable> {
        let mut said = String::new();
        loop {
            match reader.wait().await {
                Some(ChannelMsg::Data { data }) => return Ok(data),
                Some(ChannelMsg::ExtendedData { data, .. }) if said.len() < 1000 => {
                    said.push_str(&String::from_utf8_lossy(&data));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) if exit_status != 0 => {
                    let why = format!("the program there ended with {exit_status}: {}", said.trim());
                    return Err(Unreachable::Transport(access.host(), why));
                }
                None | Some(ChannelMsg::Failure) => return Ok(bytes::Bytes::new()),
                Some(_) => {}
            }
        }
    }
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            let limit = self.access.remaining();
            let (reader, access) = (&mut self.reader, &self.access);
            let next = self.runtime.block_on(async { tokio::time::timeout(limit, Self::next(reader, access)).await });
            let next = next.unwrap_or_else(|_| Err(slow(&self.access)));
            self.rest = next.map_err(|failure| self.access.broken(failure))?;
            self.access.receive(self.rest.len()).map_err(|failure| self.access.broken(failure))?;
        }
        let taken = self.rest.split_to(buffer.len().min(self.rest.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let limit = self.access.remaining();
        let sending = self.writer.data(bytes);
        let sent = self.runtime.block_on(async { tokio::time::timeout(limit, sending).await });
        let lost = |error: russh::Error| Unreachable::Transport(self.access.host(), error.to_string());
        let sent = sent.map_or_else(|_| Err(slow(&self.access)), |sent| sent.map_err(lost));
        sent.map(|()| bytes.len()).map_err(|failure| self.access.broken(failure))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let leaving = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = self.runtime.block_on(async { tokio::time::timeout(std::time::Duration::from_secs(1), leaving).await });
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_path_cannot_leave_its_quotes() {
        assert_eq!(super::command("git-upload-pack", "/a'; id; '"), r"git-upload-pack '/a'\''; id; '\'''");
    }
}
