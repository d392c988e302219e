//! Every command of `docs/guides/tour.md`, in order.

use crate::cluster::Cluster;
use crate::run::{Ran, code, stdout};
use crate::stand_in::StandIn;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn every_command_of_the_tour_works() {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = tempfile::tempdir().expect("a folder");
    let folders = [Path::new(env!("CARGO_BIN_EXE_spinway")), &cluster.kubectl()]
        .map(|p| p.parent().expect("a folder").display().to_string());
    let path = format!("{}:{}", folders.join(":"), std::env::var("PATH").expect("a PATH"));
    let tour = std::fs::read_to_string(root.join("docs/guides/tour.md")).expect("the tour");
    let commands: Vec<&str> = tour.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 15, "{commands:?}");
    let mut outputs = Vec::new();
    for command in commands {
        let ran = Command::new("bash")
            .args(["-c", command])
            .current_dir(here.path())
            .env("PATH", &path)
            .env("SPINWAY", root)
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HOME", here.path())
            .output()
            .expect("bash runs");
        assert_eq!(code(&ran), 0, "{command}: {}", Ran(&ran));
        outputs.push((command, stdout(&ran)));
    }
    let said = |command: &str, text: &str| outputs.iter().any(|(c, o)| c.starts_with(command) && o.contains(text));
    assert!(said("spinway graph", "because of spec.executor"));
    assert!(said("spinway drift shop", "kubectl-patch by Update"), "{outputs:#?}");
    assert!(said("spinway drift shop", "is gone (writer not recorded)"));
    assert!(here.path().join("plan.md").exists());
}
