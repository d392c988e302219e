//! The bed's stand-ins do what the real ones do: faults of images, the operator's lag, quotas, garbage collection.

use super::api::text;
use super::bed::Bed;
use super::load::Target;
use super::team::Team;
use super::traefik::Lane;
use crate::repo::Repo;
use crate::run::{Ran, code};
use serde_json::Value;
use std::time::{Duration, Instant};

struct Checks<'a> {
    bed: &'a Bed,
    team: Team,
    repo: Repo,
}

/// Checks all of them on one bed.
pub fn check(bed: &Bed) {
    let team = Team { name: "checks".to_owned(), lane: Lane { throttle: 2, churn: false } };
    let checks = Checks { bed, team, repo: Repo::empty() };
    checks.apply("all.yaml", &checks.team.platform(&[]).1);
    checks.images();
    checks.secret();
    checks.lag_of_the_operator();
    checks.quota();
    checks.deletion();
    checks.lanes();
}

impl Checks<'_> {
    fn apply(&self, file: &str, manifest: &str) {
        self.repo.write(file, manifest);
        let path = self.repo.file(file).display().to_string();
        let ran = self.bed.kubectl(&["apply", "-f", &path]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    }

    fn spin_app(&self, name: &str, more: &str) {
        let manifest = self.team.spin_app(name, &self.team.image(name, 'a')).1;
        self.apply("app.yaml", &format!("{}{more}", manifest.replace("replicas: 2", "replicas: 1")));
    }

    fn get(&self, path: &str) -> Option<Value> {
        self.bed.get(&path.replace("NS", &format!("namespaces/{}", self.team.name)))
    }

    fn wait<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(start.elapsed() < Duration::from_secs(40), "{what}: still not so after 40 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn pods(&self, app: &str) -> Vec<Value> {
        let path = format!("/api/v1/NS/pods?labelSelector=core.spinkube.dev/app-name%3D{app}");
        self.get(&path).and_then(|list| list["items"].as_array().cloned()).unwrap_or_default()
    }

    /// The reason that a container of the app waits for.
    fn waits_for(&self, app: &str, reason: &str) -> bool {
        let state = |pod: &Value| text(pod, "/status/containerStatuses/0/state/waiting/reason").to_owned();
        self.pods(app).iter().any(|pod| state(pod) == reason)
    }

    fn is_available(&self, app: &str) -> bool {
        let deployment = self.get(&format!("/apis/apps/v1/NS/deployments/{app}")).unwrap_or_default();
        deployment["status"]["availableReplicas"].as_u64().unwrap_or(0) > 0
    }

    fn images(&self) {
        for app in ["cart-bad", "cart-crash", "cart-never", "cart-slow-3"] {
            self.spin_app(app, "");
        }
        for (app, reason) in [
            ("cart-bad", "ErrImagePull"),
            ("cart-bad", "ImagePullBackOff"),
            ("cart-bad", "ErrImagePull"),
            ("cart-crash", "CrashLoopBackOff"),
        ] {
            self.wait(&format!("{app} {reason}"), || self.waits_for(app, reason).then_some(()));
        }
        let restarts = || self.pods("cart-crash")[0]["status"]["containerStatuses"][0]["restartCount"].as_u64();
        self.wait("restarts", || restarts().filter(|count| *count > 1));
        self.wait("a slow image", || self.is_available("cart-slow-3").then_some(()));
        for app in ["cart-bad", "cart-crash", "cart-never"] {
            assert!(!self.is_available(app), "{app}");
            self.bed.kubelet.images.heal(app);
            self.wait(&format!("{app}, healed"), || self.is_available(app).then_some(()));
        }
    }

    fn secret(&self) {
        let variables = "  variables: [{name: key, valueFrom: {secretKeyRef: {name: keys, key: a}}}]\n";
        self.spin_app("cart-secret", variables);
        let reason = "CreateContainerConfigError";
        self.wait(reason, || self.waits_for("cart-secret", reason).then_some(()));
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: checks}\nstringData: {a: b}\n";
        self.apply("secret.yaml", secret);
        self.wait("the Secret", || self.is_available("cart-secret").then_some(()));
    }

    /// The SpinApp goes on telling of the old version after its Deployment has the new one.
    fn lag_of_the_operator(&self) {
        self.spin_app("cart", "");
        self.wait("cart", || self.is_available("cart").then_some(()));
        let app = || self.get("/apis/core.spinkube.dev/v1alpha1/NS/spinapps/cart").expect("the SpinApp");
        let reason = |app: &Value| {
            let conditions = app["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.into_iter().find(|condition| condition["type"] == "Progressing");
            found.map(|condition| text(&condition, "/reason").to_owned()).unwrap_or_default()
        };
        self.wait("the copied status", || (reason(&app()) == "NewReplicaSetAvailable").then_some(()));
        let new = self.team.spin_app("cart", &self.team.image("cart", 'b')).1.replace("replicas: 2", "replicas: 1");
        self.apply("app.yaml", &new);
        let changed = Instant::now();
        let image = || {
            let deployment = self.get("/apis/apps/v1/NS/deployments/cart").unwrap_or_default();
            text(&deployment, "/spec/template/spec/containers/0/image").contains(&"b".repeat(64)).then_some(())
        };
        self.wait("the new template", image);
        let after = changed.elapsed();
        assert!(after < Duration::from_secs(3), "the template came after {after:?}");
        assert_eq!(reason(&app()), "NewReplicaSetAvailable", "the status is the one of before");
        self.wait("the next look", || (reason(&app()) != "NewReplicaSetAvailable").then_some(()));
        self.wait("the end of the rollout", || (reason(&app()) == "NewReplicaSetAvailable").then_some(()));
        let conditions = app()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        assert!(conditions.iter().all(|condition| condition.get("observedGeneration").is_none()), "{conditions:?}");
    }

    fn quota(&self) {
        let count = self.get("/api/v1/NS/pods").and_then(|list| list["items"].as_array().map(Vec::len)).unwrap_or(0);
        let quota = format!(
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: pods, namespace: checks}}\nspec: {{hard: {{pods: {count}}}}}\n"
        );
        self.apply("quota.yaml", &quota);
        let used =
            || self.get("/api/v1/NS/resourcequotas/pods").filter(|quota| quota["status"]["used"]["pods"].is_string());
        self.wait("the quota", used);
        self.spin_app("cart-full", "");
        let refused = || {
            let deployment = self.get("/apis/apps/v1/NS/deployments/cart-full")?;
            let mut conditions = deployment["status"]["conditions"].as_array()?.iter();
            conditions.any(|condition| condition["type"] == "ReplicaFailure").then_some(())
        };
        self.wait("the quota to refuse a pod", refused);
        let ran = self.bed.kubectl(&["delete", "resourcequota", "pods", "-n", "checks"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        self.wait("the app without a quota", || self.is_available("cart-full").then_some(()));
    }

    fn deletion(&self) {
        let ran = self.bed.kubectl(&["delete", "spinapp", "cart", "-n", "checks", "--wait=false"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        self.wait("the pods to go", || self.pods("cart").is_empty().then_some(()));
        let service = || self.get("/api/v1/NS/services/cart").is_none().then_some(());
        self.wait("the Service to go", service);
    }

    /// A Traefik leaves the routes of the other ones alone.
    fn lanes(&self) {
        let other = Lane { throttle: 6, churn: true };
        self.bed.door(self.team.lane);
        self.bed.door(other);
        self.apply("gateway.yaml", &self.team.platform(&[("public", "http")]).1);
        self.apply("route.yaml", &self.team.route("cart", "{name: public}", "/cart", "cart-full").1);
        let route = || self.get("/apis/gateway.networking.k8s.io/v1/NS/httproutes/cart").unwrap_or_default();
        self.wait("the route's status", || (route()["status"]["parents"].as_array()?.len() == 1).then_some(()));
        std::thread::sleep(Duration::from_secs(other.throttle));
        let before = route();
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(route(), before, "someone goes on writing the route's status");
        let image = self.team.image("cart-full", 'a');
        let target = Target { host: self.team.host(), path: "/cart".to_owned(), images: vec![image] };
        let served = self.bed.served(self.team.lane, std::slice::from_ref(&target), Duration::from_secs(10));
        assert_eq!(served, Ok(()));
        assert!(self.bed.served(other, &[target], Duration::from_secs(1)).is_err(), "the other Traefik serves it too");
    }
}
