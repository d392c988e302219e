//! Repositories whose newest version cannot serve, for a cause that goes away: what is wrong, and in which shape it is deployed.

use super::bed::Bed;
use super::load::Target;
use super::site::expect;
use super::team::{Files, Team};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Why the new version does not become healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    BadImage,
    CrashLoop,
    NeverReady,
    Slow,
    MissingSecret,
    FullQuota,
}

pub const CAUSES: [Cause; 6] =
    [Cause::BadImage, Cause::CrashLoop, Cause::NeverReady, Cause::Slow, Cause::MissingSecret, Cause::FullQuota];

/// How the version that serves and the one that is to serve are deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An App whose image changes.
    App,
    /// A plain SpinApp in the place of another: the route goes over and the old one is deleted.
    SpinApp,
    /// The same with Deployments and Services.
    Deployment,
    /// A path of an App that goes over to a new App.
    Move,
}

pub const SHAPES: [Shape; 4] = [Shape::App, Shape::SpinApp, Shape::Deployment, Shape::Move];

/// What is in the repository.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contents {
    /// The new version instead of the healthy one.
    pub new: bool,
    /// A further variable of the new version.
    pub note: bool,
    /// Another App beside it.
    pub beside: bool,
    pub on_failure: bool,
}

/// The repository of a cell.
pub struct Story<'a> {
    pub team: &'a Team,
    pub cause: Cause,
    pub shape: Shape,
    /// How long a slow image is pulled, in seconds.
    pub slow: u64,
}

impl Story<'_> {
    pub fn files(&self, contents: Contents) -> Files {
        let team = self.team;
        let mut files = vec![team.config(), team.platform(&[("public", "http")])];
        files.extend(match self.shape {
            Shape::App => self.app(contents),
            Shape::SpinApp => self.spin_app(contents),
            Shape::Deployment => self.deployment(contents),
            Shape::Move => self.moved(contents),
        });
        if contents.beside {
            files.push(team.app("beside", &self.beside(), &[self.route_of("beside")], ""));
        }
        files
    }

    /// Whom the load asks all the time: the healthy version answers, and the new one once it can.
    pub fn targets(&self) -> Vec<Target> {
        let mut targets = vec![self.target(self.path(), &[self.old(), self.newer()])];
        if self.shape == Shape::Move {
            targets.push(self.target("/cart", &[self.old()]));
        }
        targets
    }

    /// Who must be served at the end.
    pub fn finally(&self, contents: Contents) -> Vec<Target> {
        let mut targets = vec![self.target(self.path(), &[self.newer()])];
        if contents.beside {
            targets.push(self.target("/beside", &[self.beside()]));
        }
        targets
    }

    /// Takes away what the new version lacks, before it is applied; the healthy version runs.
    pub fn prepare(&self, bed: &Bed) -> Result<(), String> {
        if self.cause != Cause::FullQuota {
            return Ok(());
        }
        let pods = bed.get(&format!("/api/v1/namespaces/{}/pods", self.team.name)).unwrap_or_default();
        self.quota(bed, pods["items"].as_array().map_or(0, Vec::len))
    }

    /// Takes the cause away; what is slow needs only time.
    pub fn heal(&self, bed: &Bed) -> Result<(), String> {
        match self.cause {
            Cause::BadImage | Cause::NeverReady => {
                bed.kubelet.images.heal(&self.image_name());
                Ok(())
            }
            Cause::CrashLoop => {
                bed.kubelet.images.heal(&self.image_name());
                self.restarted(bed)
            }
            Cause::Slow => Ok(()),
            Cause::MissingSecret => {
                let literal = ["create", "secret", "generic", "keys", "--from-literal=a=b", "-n", &self.team.name];
                expect(&bed.kubectl(&literal), 0)
            }
            Cause::FullQuota => self.quota(bed, 50),
        }
    }

    /// Whether the repository alone keeps the new version from serving until someone takes the cause away.
    pub fn lasts(&self) -> bool {
        self.cause != Cause::Slow
    }

    /// Waits until what crashed runs: the kubelet starts it again after a while, and until then turns rightly say that it failed.
    fn restarted(&self, bed: &Bed) -> Result<(), String> {
        let path = format!("/api/v1/namespaces/{}/pods", self.team.name);
        let crashes = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] != true;
        let start = Instant::now();
        while bed.get(&path).unwrap_or_default()["items"].as_array().is_some_and(|pods| pods.iter().any(crashes)) {
            if start.elapsed() > Duration::from_secs(30) {
                return Err("a pod still crashes 30 s after its image was mended".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Sets how many pods there may be, and waits until that is in force.
    fn quota(&self, bed: &Bed, pods: usize) -> Result<(), String> {
        let hard = format!("--hard=pods={pods}");
        let name = self.team.name.as_str();
        let path = format!("/api/v1/namespaces/{name}/resourcequotas/pods");
        if bed.get(&path).is_some() {
            let patch = format!("{{\"spec\": {{\"hard\": {{\"pods\": \"{pods}\"}}}}}}");
            expect(&bed.kubectl(&["patch", "quota", "pods", "-n", name, "--type=merge", "-p", &patch]), 0)?;
        } else {
            expect(&bed.kubectl(&["create", "quota", "pods", &hard, "-n", name]), 0)?;
        }
        let start = Instant::now();
        let wanted = pods.to_string();
        let in_force = |quota: &Value| quota["status"]["hard"]["pods"] == *wanted;
        while !bed.get(&path).as_ref().is_some_and(in_force) {
            if start.elapsed() > Duration::from_secs(30) {
                return Err("the quota is not in force after 30 s".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn old(&self) -> String {
        self.team.image("cart", 'a')
    }

    fn newer(&self) -> String {
        self.team.image(&self.image_name(), 'b')
    }

    fn beside(&self) -> String {
        self.team.image("beside", 'c')
    }

    /// The name of the new image says what the kubelet does with it. It is of this cell alone, because it is healed by name.
    fn image_name(&self) -> String {
        let fault = match self.cause {
            Cause::BadImage => "bad".to_owned(),
            Cause::CrashLoop => "crash".to_owned(),
            Cause::NeverReady => "never".to_owned(),
            Cause::Slow => format!("slow-{}", self.slow),
            Cause::MissingSecret | Cause::FullQuota => "new".to_owned(),
        };
        format!("cart-{fault}-{}", self.team.name)
    }

    fn path(&self) -> &'static str {
        if self.shape == Shape::Move { "/pay" } else { "/cart" }
    }

    fn target(&self, path: &str, images: &[String]) -> Target {
        Target { host: self.team.host(), path: path.to_owned(), images: images.to_vec() }
    }

    fn needs_secret(&self, contents: Contents) -> bool {
        contents.new && self.cause == Cause::MissingSecret
    }

    /// The variables of an App.
    fn variables(&self, contents: Contents) -> String {
        let mut text = String::new();
        if self.needs_secret(contents) {
            text.push_str("    key: {secret: {name: keys, key: a}}\n");
        }
        if contents.note {
            text.push_str("    note: further\n");
        }
        let variables = if text.is_empty() { text } else { format!("  variables:\n{text}") };
        let rollout = if contents.on_failure { "  rollout: {onFailure: rollback}\n" } else { "" };
        format!("{variables}{rollout}")
    }

    /// The variables of a SpinApp or of a container.
    fn list(&self, contents: Contents) -> String {
        let mut items = Vec::new();
        if self.needs_secret(contents) {
            items.push("{name: key, valueFrom: {secretKeyRef: {name: keys, key: a}}}");
        }
        if contents.note {
            items.push("{name: note, value: further}");
        }
        format!("[{}]", items.join(", "))
    }

    fn route_of(&self, name: &str) -> String {
        format!("{{name: {name}, gateway: public, hosts: [{}], path: /{name}}}", self.team.host())
    }

    fn version(&self, contents: Contents) -> String {
        if contents.new { self.newer() } else { self.old() }
    }

    fn app(&self, contents: Contents) -> Files {
        let routes = [self.route_of("cart")];
        vec![self.team.app("cart", &self.version(contents), &routes, &self.variables(contents))]
    }

    fn spin_app(&self, contents: Contents) -> Files {
        let name = if contents.new { "basket" } else { "cart" };
        let (path, text) = self.team.spin_app(name, &self.version(contents));
        let text = format!("{text}  variables: {}\n", self.list(contents));
        vec![(path, text), self.team.route("cart", "{name: public}", "/cart", name)]
    }

    fn deployment(&self, contents: Contents) -> Files {
        let name = if contents.new { "basket" } else { "cart" };
        let image = self.version(contents);
        let (path, text) = self.team.deployment(name, &image);
        let line = format!("image: {image}\n");
        let text = text.replace(&line, &format!("{line}          env: {}\n", self.list(contents)));
        vec![(path, text), self.team.route("cart", "{name: public}", "/cart", name)]
    }

    fn moved(&self, contents: Contents) -> Files {
        let (cart, pay) = (self.route_of("cart"), self.route_of("pay"));
        if contents.new {
            let variables = self.variables(contents);
            vec![
                self.team.app("cart", &self.old(), &[cart], ""),
                self.team.app("pay", &self.newer(), &[pay], &variables),
            ]
        } else {
            vec![self.team.app("cart", &self.old(), &[cart, pay], "")]
        }
    }
}
