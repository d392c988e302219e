//! A team's repository on the bed: what is in it, who applies it, and who asks its apps.

use super::bed::Bed;
use super::kubelet::Pods;
use super::load::{Load, Target};
use super::team::{Files, Team};
use super::traefik::Lane;
use crate::repo::Repo;
use crate::run::{Ran, code};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

/// The site of a team.
pub struct Site<'a> {
    pub bed: &'a Bed,
    pub team: Team,
    pub repo: Repo,
    /// How the API server is reached for changes.
    pub kubeconfig: PathBuf,
    /// The objects that kubectl applied last.
    rendered: Vec<Value>,
}

impl<'a> Site<'a> {
    /// A site of that name, which nobody else has, at a lane's Traefik.
    pub fn new(bed: &'a Bed, name: &str, lane: Lane, pods: Pods) -> Self {
        bed.door(lane);
        bed.pods(name, pods);
        let team = Team { name: name.to_owned(), lane };
        Self { bed, team, repo: Repo::empty(), kubeconfig: bed.kubeconfig(), rendered: Vec::new() }
    }

    /// Makes the repository hold these files and no others.
    pub fn write(&self, files: &Files) {
        for folder in ["apps", "platform"] {
            let _ = std::fs::remove_dir_all(self.repo.file(folder));
        }
        files.iter().for_each(|(path, text)| self.repo.write(path, text));
        self.repo.write("apps/.spinwayignore", "");
    }

    /// Applies the repository with spinway.
    pub fn apply(&self) -> Output {
        let mut command = self.bed.command(&["apply", self.repo.dir(), "--yes", "--timeout", "60"]);
        command.env("KUBECONFIG", &self.kubeconfig).output().expect("spinway runs")
    }

    /// Applies the repository with kubectl, and deletes what is gone.
    pub fn kubectl(&mut self) -> Result<(), String> {
        let ran = self.bed.spinway(&["render", self.repo.dir(), "--env", "test", "-o", "json"]);
        expect(&ran, 0)?;
        let after: Vec<Value> = serde_json::from_slice(&ran.stdout).map_err(|error| error.to_string())?;
        let id = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        let gone: Vec<&Value> =
            self.rendered.iter().filter(|old| !after.iter().any(|new| id(new) == id(old))).collect();
        let run = |verb: &[&str], objects: &[&Value]| {
            let documents: Vec<String> = objects.iter().map(|object| format!("---\n{object}\n")).collect();
            self.repo.write("kubectl.yaml", &documents.concat());
            let file = self.repo.file("kubectl.yaml").display().to_string();
            let mut command = self.bed.kubectl_command(&[verb, &["-f", &file]].concat());
            expect(&command.env("KUBECONFIG", &self.kubeconfig).output().expect("kubectl runs"), 0)
        };
        run(&["apply"], &after.iter().collect::<Vec<_>>())?;
        if !gone.is_empty() {
            run(&["delete", "--wait=false"], &gone)?;
        }
        self.rendered = after;
        Ok(())
    }

    /// Starts requests.
    pub fn load(&self, targets: &[Target]) -> Load {
        self.bed.load(self.team.lane, targets.to_vec())
    }

    /// Waits until all of these are served, or tells what was wrong last.
    pub fn served(&self, targets: &[Target], patience: Duration) -> Result<(), String> {
        self.bed.served(self.team.lane, targets, patience)
    }
}

/// The exit code must be this one.
pub fn expect(ran: &Output, wanted: i32) -> Result<(), String> {
    if code(ran) == wanted { Ok(()) } else { Err(format!("exit code {wanted} was expected: {}", Ran(ran))) }
}
