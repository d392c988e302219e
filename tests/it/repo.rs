//! Repositories for tests, in temporary folders.

use crate::control_plane::{gateway_api_crds, tests_dir};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lists of a tenant that bound nothing.
pub const WIDE: &str = "namespaces: ['*'], gateways: ['*'], hostnames: ['*'], pathPrefixes: ['*'], images: ['*']";

/// A repository in a temporary folder.
pub struct Repo {
    dir: tempfile::TempDir,
}

impl Repo {
    /// An empty folder.
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A Config with one environment `test` and tenants `one` (apps/one) and `two` (apps/two), sources `platform` and `apps`.
    pub fn with_config() -> Self {
        let repo = Self::empty();
        repo.write(
            "spinway.yaml",
            &format!("apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: t}}\nspec:\n  sources: [platform, apps]\n  environments: [{{name: test}}]\n  \
             tenants:\n    - {{name: one, {WIDE}, paths: [apps/one]}}\n    - {{name: two, {WIDE}, paths: [apps/two]}}\n  approvals: {{paths: [approvals]}}\n"),
        );
        for source in ["platform", "apps", "apps/one", "apps/two"] {
            repo.write(&format!("{source}/.spinwayignore"), "");
        }
        repo
    }

    /// Lets tenant `one` declare these kinds, and no others.
    pub fn allow(&self, kinds: &str) {
        self.edit(
            "spinway.yaml",
            "paths: [apps/one]",
            &format!("paths: [apps/one], kinds: [{kinds}], clusterKinds: [{kinds}]"),
        );
    }

    /// The shop of `fixtures`.
    pub fn shop() -> Self {
        let repo = Self::empty();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/shop/repo"), repo.path());
        repo
    }

    /// Copies all files of a folder over those of the repository.
    pub fn copy_from(&self, folder: &Path) {
        copy(folder, self.path());
    }

    /// Adds the custom resource definitions that the shop needs, under `platform/crds`.
    pub fn add_crds(&self) {
        for name in ["gatewayclasses", "gateways", "httproutes", "referencegrants"] {
            let file = format!("gateway.networking.k8s.io_{name}.yaml");
            let text = fs::read_to_string(gateway_api_crds().join(&file)).expect("a CRD");
            self.write(&format!("platform/crds/{file}"), &text);
        }
        self.write(
            "platform/crds/spinkube.yaml",
            &fs::read_to_string(tests_dir().join("crds/spinkube.yaml")).expect("a CRD"),
        );
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn dir(&self) -> &str {
        self.path().to_str().expect("a plain path")
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.file(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.file(path)).expect("the file was there");
    }

    /// Replaces a text in a file; it must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(path)).expect("the file is there");
        assert!(text.contains(from), "{path} holds no {from:?}");
        self.write(path, &text.replace(from, to));
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(self.path())
            .output();
        let output = output.expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) -> String {
        if !self.file(".git").exists() {
            self.git(&["init", "-q"]);
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the fixture").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_symlink() {
            let leads = fs::read_link(entry.path()).expect("a link");
            std::os::unix::fs::symlink(leads, target).expect("a link");
        } else if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
