//! Requests through the Gateway, as clients send them: at a steady rate, half of them on new connections, no retries.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Requests in a second, over all targets.
pub const RATE: u32 = 90;
/// A request that has no answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(5);
const TOO_LATE: &str = "no answer in 5 s";
/// Redirects that a client follows.
const HOPS: usize = 4;
/// How many failures are told one by one.
const TOLD: usize = 12;

/// Whom requests ask, and who may answer.
#[derive(Clone, Debug)]
pub struct Target {
    pub host: String,
    pub path: String,
    pub images: Vec<String>,
}

/// What came of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub requests: usize,
    pub failed: usize,
    /// How often each outcome was: an image, or what failed.
    pub outcomes: BTreeMap<String, usize>,
    /// The first failures: when, who was asked, what came.
    pub first: Vec<(Duration, String, String)>,
    /// When the last failure was.
    pub last: Duration,
    /// The longest time that a request was sent too late: so long this process stood still.
    pub late: Duration,
}

impl Tally {
    fn add(&mut self, at: Duration, target: &Target, outcome: Result<String, String>) {
        self.requests += 1;
        let key = match &outcome {
            Ok(image) => image.clone(),
            Err(what) => format!("failed: {what}"),
        };
        *self.outcomes.entry(key).or_default() += 1;
        if let Err(what) = outcome {
            self.failed += 1;
            self.last = at.max(self.last);
            if self.first.len() < TOLD {
                self.first.push((at, format!("{}{}", target.host, target.path), what));
            }
        }
    }
}

impl Tally {
    /// Whether all that failed are answers that came too late while this process, which also runs the servers, stood still:
    /// then the machine was measured.
    pub fn is_of_the_machine(&self) -> bool {
        let timed_out = self.outcomes.get(&format!("failed: {TOO_LATE}")).copied().unwrap_or_default();
        self.failed > 0 && timed_out == self.failed && self.late > Duration::from_secs(1)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} failed", self.failed, self.requests)?;
        for (outcome, count) in &self.outcomes {
            write!(f, "\n    {count:5} {outcome}")?;
        }
        for (at, target, what) in &self.first {
            write!(f, "\n    at {:.2} s {target}: {what}", at.as_secs_f64())?;
        }
        if self.failed > 0 {
            write!(f, "\n    the last at {:.2} s", self.last.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Requests under way.
pub struct Load {
    handle: tokio::runtime::Handle,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    door: SocketAddr,
    start: Instant,
    idle: Mutex<VecDeque<SendRequest<Empty<Bytes>>>>,
    tally: Mutex<Tally>,
}

impl Load {
    /// Starts sending to a Gateway's address.
    pub fn start(handle: &tokio::runtime::Handle, door: SocketAddr, targets: Vec<Target>) -> Self {
        let shared = Arc::new(Shared { door, start: Instant::now(), idle: Mutex::default(), tally: Mutex::default() });
        let stop = Arc::new(AtomicBool::new(false));
        let task = handle.spawn(send(Arc::clone(&shared), Arc::clone(&stop), targets));
        Self { handle: handle.clone(), stop, task, shared }
    }

    /// Since when it sends.
    pub fn elapsed(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// How many requests have been answered or have failed so far.
    pub fn requests(&self) -> usize {
        self.shared.tally.lock().expect("a lock").requests
    }

    /// Stops, and waits for the last answers.
    pub fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.handle.block_on(self.task).expect("the load ran");
        std::mem::take(&mut *self.shared.tally.lock().expect("a lock"))
    }
}

async fn send(shared: Arc<Shared>, stop: Arc<AtomicBool>, targets: Vec<Target>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut requests = tokio::task::JoinSet::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let late = ticks.tick().await.elapsed();
        {
            let mut tally = shared.tally.lock().expect("a lock");
            tally.late = tally.late.max(late);
        }
        let target = targets[number % targets.len()].clone();
        let fresh = (number / targets.len()).is_multiple_of(2);
        number += 1;
        let shared = Arc::clone(&shared);
        requests.spawn(async move {
            let at = shared.start.elapsed();
            let asked = tokio::time::timeout(PATIENCE, ask(&shared, &target, fresh)).await;
            let outcome = asked.unwrap_or_else(|_| Err(TOO_LATE.to_owned()));
            shared.tally.lock().expect("a lock").add(at, &target, outcome);
        });
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// One request and the redirects that it is answered with; the image that answered.
async fn ask(shared: &Shared, target: &Target, fresh: bool) -> Result<String, String> {
    let (mut host, mut path, mut fresh) = (target.host.clone(), target.path.clone(), fresh);
    for hop in 0..HOPS {
        let answer = exchange(shared, &host, &path, fresh).await?;
        let header = |name: &str| answer.get(name).cloned().unwrap_or_default();
        let (status, image) = (header(":status"), header("x-image"));
        if status.starts_with('3') {
            let location: http::Uri = header("location").parse().map_err(|_| "a redirect to nowhere".to_owned())?;
            host = location.host().map_or(host, str::to_owned);
            path = location.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
            fresh = true;
        } else if !status.starts_with('2') {
            let after = if hop > 0 { format!(" after a redirect to {host}{path}") } else { String::new() };
            return Err(format!("{status}{after}"));
        } else if target.images.contains(&image) {
            return Ok(image);
        } else {
            return Err(format!("an answer of {image}"));
        }
    }
    Err("redirects in a circle".to_owned())
}

async fn exchange(shared: &Shared, host: &str, path: &str, fresh: bool) -> Result<BTreeMap<String, String>, String> {
    let request = http::Request::get(path).header("host", host).body(Empty::new()).map_err(|e| e.to_string())?;
    let kept = if fresh { None } else { shared.idle.lock().expect("a lock").pop_front() };
    let mut connection = match kept {
        Some(connection) if connection.is_ready() => connection,
        _ => connect(shared.door).await?,
    };
    let answer = connection.send_request(request).await.map_err(|e| format!("no answer: {e}"))?;
    let mut headers: BTreeMap<String, String> = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.insert(":status".to_owned(), answer.status().as_u16().to_string());
    answer.into_body().collect().await.map_err(|e| format!("half an answer: {e}"))?;
    if !fresh {
        shared.idle.lock().expect("a lock").push_back(connection);
    }
    Ok(headers)
}

async fn connect(door: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = TcpStream::connect(door).await.map_err(|e| format!("no connection: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    sender.ready().await.map_err(|e| e.to_string())?;
    Ok(sender)
}

/// Waits until every target is answered as it should be, ten times in a row; what was wrong last when it never is.
pub fn served(
    handle: &tokio::runtime::Handle,
    door: SocketAddr,
    targets: &[Target],
    patience: Duration,
) -> Result<(), String> {
    let shared = Shared { door, start: Instant::now(), idle: Mutex::default(), tally: Mutex::default() };
    let mut row = 0;
    let mut wrong = String::new();
    while shared.start.elapsed() < patience {
        for target in targets {
            let asked = handle.block_on(async { tokio::time::timeout(PATIENCE, ask(&shared, target, true)).await });
            match asked.unwrap_or_else(|_| Err(TOO_LATE.to_owned())) {
                Ok(_) => row += 1,
                Err(what) => {
                    row = 0;
                    wrong = format!("{}{}: {what}", target.host, target.path);
                }
            }
        }
        if row >= 10 * targets.len() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(wrong)
}
