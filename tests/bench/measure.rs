//! What a command costs: wall time, processor time and peak memory of its process, processor time of the servers.

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The role in which this program runs another and says what that cost.
pub const ROLE: &str = "--measure";
/// Clock ticks a second in `/proc/PID/stat` on Linux.
const TICKS: f64 = 100.0;

/// What one run cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Seconds on the wall.
    pub wall: f64,
    /// Processor seconds of the process.
    pub cpu: f64,
    /// Its peak memory in MiB.
    pub peak: f64,
    /// Processor seconds of the API server and etcd meanwhile.
    pub server: f64,
    /// The exit code.
    pub code: i64,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub errors: String,
}

/// Runs a command in a process of its own, under a small one that reads what the kernel says of it.
pub fn run(folder: &Path, program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Cost {
    let answer = tempfile::NamedTempFile::new().expect("a temporary file");
    let before = servers(folder);
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg(ROLE)
        .arg(answer.path())
        .arg(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("this program runs");
    let server = servers(folder) - before;
    let said: Value = serde_json::from_slice(&fs::read(answer.path()).expect("an answer"))
        .unwrap_or_else(|_| panic!("{} {arguments:?}: {}", program.display(), String::from_utf8_lossy(&output.stderr)));
    let number = |field: &str| said[field].as_f64().unwrap_or_default();
    Cost {
        wall: number("wall"),
        cpu: number("cpu"),
        peak: number("peak"),
        server,
        code: said["code"].as_i64().unwrap_or(-1),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The other side of [`run`]: `ANSWER PROGRAM ARGUMENTS...`.
pub fn serve(arguments: &[String]) {
    let (answer, program) = (&arguments[0], &arguments[1]);
    let start = Instant::now();
    let status = Command::new(program).args(&arguments[2..]).status().expect("the program runs");
    let wall = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    let said = json!({"wall": wall, "cpu": cpu, "peak": usage.max_rss() as f64 / 1024.0, "code": status.code()});
    fs::write(answer, said.to_string()).expect("the answer can be written");
}

/// Processor seconds of the API server and etcd that keep their files in a folder.
fn servers(folder: &Path) -> f64 {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let seconds = processes.filter_map(|process| {
        let line = fs::read(process.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let program = line.split('\0').next()?.rsplit('/').next()?;
        if !matches!(program, "kube-apiserver" | "etcd") || !line.contains(&folder) {
            return None;
        }
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / TICKS)
    });
    seconds.sum()
}

/// The run with the median wall time.
pub fn median(mut runs: Vec<Cost>) -> Cost {
    runs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    runs.swap_remove(runs.len() / 2)
}
