//! No process of a bed outlives the tests, however they end.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Processes whose command line names a folder. Those inside the namespace are seen from outside.
fn processes_of(dir: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let names = |line: Vec<u8>| String::from_utf8_lossy(&line).contains(dir);
    all.filter(|process| std::fs::read(process.path().join("cmdline")).is_ok_and(names)).count()
}

/// Starts a test that holds a bed, kills it, and waits until all of its processes have ended.
pub fn end_with_tests_that_are_killed(test: &str, hold: &str) {
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(this);
    command.args(["--exact", test, "--nocapture"]).env(hold, "1").stdout(Stdio::piped());
    let mut child = command.spawn().expect("this program runs");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let dir = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("bed: ").map(str::to_owned));
    let dir = dir.expect("a folder");
    // etcd, the API server, the controller manager, and Traefik.
    assert!(processes_of(&dir) >= 4, "{} processes", processes_of(&dir));
    child.kill().expect("SIGKILL");
    child.wait().expect("it ended");
    let start = Instant::now();
    while processes_of(&dir) > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "{} processes are left", processes_of(&dir));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!Path::new(&dir).exists(), "{dir} is left");
}
