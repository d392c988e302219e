//! No process outlives the tests, however they end.

use crate::control_plane::ControlPlane;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Processes whose command line names a folder.
fn processes_of(dir: &str) -> usize {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    all.filter(|p| fs::read(p.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(dir)))
        .count()
}

/// Set in the process that the next test starts and kills.
const HOLD: &str = "SPINWAY_TESTS_HOLD";

#[test]
fn no_process_outlives_tests_that_are_killed() {
    if std::env::var_os(HOLD).is_some() {
        let plane = ControlPlane::start();
        println!("{}", plane.dir.display());
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let arguments = ["--exact", "processes::no_process_outlives_tests_that_are_killed", "--nocapture"];
    let mut child =
        Command::new(this).args(arguments).env(HOLD, "1").stdout(Stdio::piped()).spawn().expect("this program runs");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let dir = lines.map_while(Result::ok).find(|line| line.contains("spinway-tests-")).expect("a folder");
    let running = |at_least: usize| processes_of(&dir) >= at_least;
    let wait = |what: &str, holds: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: {} processes", processes_of(&dir));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait("etcd and the API server run", &|| running(2));
    child.kill().expect("SIGKILL");
    child.wait().expect("it ended");
    wait("all processes end", &|| !running(1));
    wait("their folder goes", &|| !Path::new(&dir).exists());
}
