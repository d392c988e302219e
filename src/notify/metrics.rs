//! Prometheus metrics: as a file for a CronJob (textfile collector), served over HTTP by an agent that runs all the time.

use super::{News, What};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verb {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Revision {
    revision: String,
}

type Seconds = Gauge<f64, AtomicU64>;

/// What is measured of a turn.
pub struct Measured<'a> {
    /// Whether it was completed.
    pub completed: bool,
    /// The revision that is applied.
    pub revision: &'a str,
    /// When the history says that it was applied, in seconds since 1970.
    pub recorded: Option<i64>,
}

/// The metrics of an agent.
pub struct Metrics {
    registry: Registry,
    success: Gauge,
    applied: Gauge,
    revision: Family<Revision, Gauge>,
    objects: Family<State, Gauge>,
    requests: Family<Verb, Counter>,
    turns: Family<Result, Counter>,
    duration: Seconds,
    /// When the newest revision was first seen applied.
    since: (String, i64),
}

impl Default for Metrics {
    fn default() -> Self {
        let mut made = Self {
            registry: Registry::with_prefix("spinway"),
            success: Gauge::default(),
            applied: Gauge::default(),
            revision: Family::default(),
            objects: Family::default(),
            requests: Family::default(),
            turns: Family::default(),
            duration: Seconds::default(),
            since: (String::new(), 0),
        };
        let registry = &mut made.registry;
        registry.register("last_success_timestamp_seconds", "When a turn was last completed", made.success.clone());
        registry.register("applied_timestamp_seconds", "When the applied revision was applied", made.applied.clone());
        registry.register("applied_revision", "The applied revision", made.revision.clone());
        registry.register("objects", "Objects by what is wrong with them", made.objects.clone());
        registry.register("requests", "Requests to the API server and to Git", made.requests.clone());
        registry.register("turns", "Turns by how they ended", made.turns.clone());
        registry.register("turn_duration_seconds", "How long the last turn took", made.duration.clone());
        made
    }
}

impl Metrics {
    /// Takes in a turn, and the requests that it cost.
    pub fn turn<'a>(
        &mut self,
        turn: &Measured<'_>,
        news: &[News],
        requests: impl Iterator<Item = (&'a &'static str, &'a u64)>,
        seconds: f64,
        now: i64,
    ) {
        let ok = turn.completed;
        self.turns.get_or_create(&Result { result: if ok { "completed" } else { "failed" } }).inc();
        self.duration.set(seconds);
        for (verb, count) in requests {
            self.requests.get_or_create(&Verb { verb }).inc_by(*count);
        }
        let states = [What::Drifted, What::Contested, What::Blocked, What::Held, What::Failed, What::Unhealthy];
        for what in states {
            let count = news.iter().filter(|news| news.what == what && news.object.is_some()).count();
            let state = match what {
                What::Drifted => "drifted",
                What::Contested => "contested",
                What::Blocked => "blocked",
                What::Held => "held",
                What::Failed => "failed",
                _ => "unhealthy",
            };
            self.objects.get_or_create(&State { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        if ok {
            self.success.set(now);
            self.applied(turn, now);
        }
    }

    fn applied(&mut self, turn: &Measured<'_>, now: i64) {
        let revision = turn.revision;
        if self.since.0 == revision {
            return;
        }
        // An agent that was just started knows it from the history.
        let at = turn.recorded.unwrap_or(now);
        self.revision.clear();
        self.revision.get_or_create(&Revision { revision: revision.to_owned() }).set(1);
        self.applied.set(at);
        self.since = (revision.to_owned(), at);
    }

    /// The metrics as text (OpenMetrics).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Writes them to a file, at once or not at all: a collector may read it any time.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, self.text())?;
        std::fs::rename(beside, path)
    }
}

/// The longest request that is read, in bytes.
const REQUEST: usize = 4096;

/// Serves a text at every path until the process ends: `text` makes it for each request.
///
/// # Errors
/// The address cannot be listened at.
pub async fn serve(address: SocketAddr, text: Arc<dyn Fn() -> String + Send + Sync>) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { continue };
            let text = Arc::clone(&text);
            tokio::spawn(async move {
                let mut request = vec![0; REQUEST];
                let read = tokio::time::timeout(super::ATTEMPT, stream.read(&mut request)).await;
                if !matches!(read, Ok(Ok(1..))) {
                    return;
                }
                let body = text();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    Ok(())
}
