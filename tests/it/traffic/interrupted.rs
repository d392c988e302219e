//! An apply that is killed, or that meets a fault of the API server, and the next one, under load: no request fails, and the
//! second one completes what the first one began.

use super::bed::Bed;
use super::campaign::{self, Job};
use super::cell::{self, LEAD, Outcome, Tool};
use super::kubelet::Pods;
use super::scenarios::SCENARIOS;
use super::site::{Site, expect};
use super::traefik::Lane;
use crate::faults::{FAULTS, lasts, strike};
use crate::proxy::{Proxy, Strike};
use crate::run::{code, stderr};
use http::request::Parts;
use std::fmt;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The changes that are interrupted.
const CHANGES: [&str; 4] = ["new image", "App rename", "route rename", "SpinApp rename"];

/// Numbers of the requests after which an apply of each change is killed: from before its first write to its last ones.
const KILLS: [[usize; 5]; 4] = [[5, 15, 22, 30, 40], [8, 18, 26, 34, 46], [6, 12, 18, 24, 28], [7, 16, 24, 32, 44]];

/// Types of requests that a fault strikes.
const REQUESTS: [&str; 8] = ["discover", "list", "get", "dry-run", "apply", "delete", "lease", "inventory"];

/// How long faults last that last.
const LASTS: Duration = Duration::from_secs(5);

/// What CI runs.
const SAMPLE: [&str; 2] = ["App rename, killed after request 26", "new image, reset on"];

/// How an apply is interrupted.
#[derive(Clone, Copy, Debug)]
enum By {
    /// SIGKILL after that many requests.
    Kill(usize),
    /// A fault on the first request of a type.
    Fault(&'static str, &'static str),
}

#[derive(Clone, Copy, Debug)]
struct Interruption {
    change: usize,
    by: By,
    lane: Lane,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (change, class) = (CHANGES[self.change], self.lane.class());
        match self.by {
            By::Kill(number) => write!(f, "{change}, killed after request {number}, {class}"),
            By::Fault(fault, request) => write!(f, "{change}, {fault} on {request}, {class}"),
        }
    }
}

fn all() -> Vec<Interruption> {
    let lanes = [(2, false), (2, true), (3, false), (3, true)].map(|(throttle, churn)| Lane { throttle, churn });
    let kills = (0..5).flat_map(|at| (0..CHANGES.len()).map(move |change| (change, By::Kill(KILLS[change][at]))));
    // Each fault once, each type of request with each change or nearly so.
    let of = |(n, fault): (usize, &&'static str)| {
        let (change, request) = (n % CHANGES.len(), REQUESTS[(n + n / 8) % REQUESTS.len()]);
        // These create and delete, and ask about no change before.
        let asks = !matches!(CHANGES[change], "App rename" | "route rename");
        (change, By::Fault(fault, if request == "dry-run" && !asks { "apply" } else { request }))
    };
    let faults = FAULTS.iter().enumerate().map(of);
    let number = |(n, (change, by)): (usize, (usize, By))| Interruption { change, by, lane: lanes[(n + n / 4) % 4] };
    kills.chain(faults).enumerate().map(number).collect()
}

/// Runs the campaign.
pub fn run(bed: &Bed) {
    let (full, only) = (campaign::full(), campaign::only());
    let mut cells = all();
    let sampled = |cell: &str| full || SAMPLE.iter().any(|sample| cell.starts_with(sample));
    cells.retain(|cell| {
        let cell = cell.to_string();
        only.as_ref().map_or_else(|| sampled(&cell), |only| cell.contains(only))
    });
    assert!(!cells.is_empty(), "no cell is {only:?}");
    let job = |cell: Interruption| Job {
        cell: cell.to_string(),
        scenario: "interrupted".to_owned(),
        tool: Tool::Spinway,
        lane: cell.lane,
        run: Box::new(move |name| interrupt(bed, cell, name)),
    };
    campaign::judge("interrupted", &campaign::run_all(cells.into_iter().map(job).collect()));
}

fn interrupt(bed: &Bed, cell: Interruption, name: &str) -> Outcome {
    let mut site = Site::new(bed, name, cell.lane, Pods::default());
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == CHANGES[cell.change]).expect("a scenario");
    let mut story = (scenario.story)(&site.team);
    story.turns.truncate(1);
    let mut outcome = Outcome::default();
    if let Err(why) = cell::begin(&mut site, Tool::Spinway, &story) {
        outcome.wrong.push(format!("before the change: {why}"));
        return outcome;
    }
    let load = site.load(&story.targets);
    std::thread::sleep(LEAD);
    site.write(&story.turns[0]);
    let first = match cell.by {
        By::Kill(number) => killed(&site, number),
        By::Fault(fault, request) => struck(&site, fault, request),
    };
    let at = |what: &str| format!("{what} at {:.1} s", load.elapsed().as_secs_f64());
    outcome.wrong.extend(first.err().map(|why| format!("{}: {why}", at("the interrupted apply"))));
    outcome.wrong.extend(completed(&site).err().map(|why| format!("{}: {why}", at("the next apply"))));
    outcome.tally = cell::finish(load);
    outcome.wrong.extend(cell::end(&site, Tool::Spinway, &story));
    outcome
}

/// The next apply, which has nobody to wait for but the Lease of the one that was killed. Where the machine stands still it
/// loses a Lease of four seconds, says so, and is run again as it says.
fn completed(site: &Site) -> Result<(), String> {
    let lost = |ran: &Output| code(ran) == 1 && stderr(ran).contains("the Lease of the environment was lost");
    let mut ran = apply(site, None).wait_with_output().expect("it ends");
    for _ in 0..2 {
        if lost(&ran) {
            ran = apply(site, None).wait_with_output().expect("it ends");
        }
    }
    expect(&ran, 0)
}

/// An apply of the site through a proxy, or directly.
fn apply(site: &Site, through: Option<&Proxy>) -> Child {
    let mut command = site.bed.command(&["apply", site.repo.dir(), "--yes", "--timeout", "60"]);
    if let Some(proxy) = through {
        let file = site.repo.file(".kubeconfig");
        std::fs::write(&file, proxy.kubeconfig()).expect("a file");
        command.env("KUBECONFIG", file);
    }
    command.env("SPINWAY_LEASE", "4").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spinway runs")
}

/// Kills an apply with SIGKILL after a request.
fn killed(site: &Site, number: usize) -> Result<(), String> {
    let victim: Arc<Mutex<Option<Child>>> = Arc::default();
    let shot = Arc::clone(&victim);
    let proxy = site.bed.proxy(
        |_| Strike::Pass,
        move |count| {
            if count == number
                && let Some(child) = shot.lock().expect("the victim").as_mut()
            {
                let _ = child.kill();
            }
        },
    );
    // The lock is held until there is someone to kill.
    let mut child = victim.lock().expect("the victim");
    *child = Some(apply(site, Some(&proxy)));
    drop(child);
    loop {
        let ended = victim.lock().expect("the victim").as_mut().expect("a child").try_wait().expect("a state");
        let Some(status) = ended else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let count = proxy.count.load(Ordering::SeqCst);
        return match status.code() {
            None => Ok(()),
            code => Err(format!("it ended with {code:?} after {count} requests, before it was killed")),
        };
    }
}

/// Lets an apply meet a fault; it ends well, or says what failed.
fn struck(site: &Site, fault: &'static str, request: &'static str) -> Result<(), String> {
    let strikes = Arc::new(AtomicUsize::new(0));
    let proxy = {
        let (strikes, since) = (Arc::clone(&strikes), Mutex::new(None::<Instant>));
        site.bed.proxy(
            move |head| {
                if !is(request, head) {
                    return Strike::Pass;
                }
                let first = *since.lock().expect("a lock").get_or_insert_with(Instant::now);
                let again = lasts(fault) && first.elapsed() < LASTS || fault == "500 permanent";
                if strikes.fetch_add(1, Ordering::SeqCst) == 0 || again { strike(fault) } else { Strike::Pass }
            },
            |_| {},
        )
    };
    let ran = apply(site, Some(&proxy)).wait_with_output().expect("it ends");
    if strikes.load(Ordering::SeqCst) == 0 {
        return Err(format!("there was no {request}"));
    }
    if code(&ran) == 0 || tells(&ran) { Ok(()) } else { expect(&ran, 0) }
}

/// It failed, and says at what.
fn tells(ran: &Output) -> bool {
    let text = stderr(ran) + &crate::run::stdout(ran);
    matches!(code(ran), 1 | 3 | 4) && ["error: ", "failed", "blocked"].iter().any(|word| text.contains(word))
}

/// Whether a request is of that type.
fn is(request: &str, head: &Parts) -> bool {
    let (method, path) = (head.method.as_str(), head.uri.path());
    let query = head.uri.query().unwrap_or_default();
    let (own, dry) = (path.contains("-inventory/configmaps"), query.contains("dryRun"));
    let listed =
        ["/configmaps", "/namespaces", "/spinapps", "/httproutes", "/services"].iter().any(|end| path.ends_with(end));
    match request {
        "discover" => method == "GET" && (path == "/api" || path == "/apis" || path.starts_with("/openapi")),
        "list" => method == "GET" && listed && !query.contains("watch"),
        "get" => method == "GET" && ["/spinapps/", "/httproutes/", "/services/"].iter().any(|part| path.contains(part)),
        "dry-run" => method == "PATCH" && dry,
        "apply" => method == "PATCH" && !dry && !own && !path.contains("/leases"),
        "delete" => method == "DELETE",
        "lease" => path.contains("/leases"),
        _ => method == "PATCH" && own,
    }
}
