//! Which release of which Gateway controller has which feature of Gateway API (GEP-2162), from its conformance report.
//!
//! The table is made from the reports (`tests/it/features.rs`); what a report does not list is unknown, unless the
//! controller's own documentation says it.

use crate::object::distance;
use serde_json::Value;
use std::sync::LazyLock;

/// Whether a controller has a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// Nothing is known about it.
    Unknown,
}

/// How much is known of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A report of it, or of one before it.
    Reported,
    /// It is newer than all that are known, of which this is the newest.
    Newer(&'static str),
    /// There is no report of it and none of a release before it with the same major version.
    Unreported,
}

/// A release of a Gateway controller: `nginx-gateway-fabric@2.7.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The project, as its conformance reports name it.
    pub project: String,
    /// Its version, without `v`.
    pub version: String,
    /// The features that it says it has in the cluster (`status.supportedFeatures` of a GatewayClass, GEP-2162), where that is
    /// known; it beats every report.
    pub reported: Option<Vec<String>>,
}

/// Features that releases ignore although no report says so: project, the beginning of the version, features.
/// NGINX Gateway Fabric: `checkForUnsupportedHTTPFields`.
const IGNORED: [(&str, &str, &[&str]); 1] = [(
    "nginx-gateway-fabric",
    "2.",
    &["HTTPRouteRequestTimeout", "HTTPRouteBackendTimeout", "HTTPRouteRetry", "HTTPRouteNamedRouteRule"],
)];

/// Features that changed their names: as a newer suite has it, and as older ones had it.
const RENAMED: [(&str, &str); 2] =
    [("HTTPRouteRetryCodes", "HTTPRouteRetry"), ("GatewayInfrastructure", "GatewayInfrastructurePropagation")];

/// The project of a GatewayClass by its controllerName.
const CONTROLLERS: [(&str, &str); 11] = [
    ("gateway.nginx.org/nginx-gateway-controller", "nginx-gateway-fabric"),
    ("gateway.envoyproxy.io/gatewayclass-controller", "envoy-gateway"),
    ("istio.io/gateway-controller", "istio"),
    ("io.cilium/gateway-controller", "cilium"),
    ("traefik.io/gateway-controller", "traefik"),
    ("kgateway.dev/kgateway", "kgateway"),
    ("agentgateway.dev/agentgateway", "agentgateway"),
    ("konghq.com/gateway-operator", "kong-operator"),
    ("projectcontour.io/gateway-controller", "contour"),
    ("networking.gke.io/gateway", "gke-gateway"),
    ("gateway.k8s.aws/alb", "aws-load-balancer-controller"),
];

struct Report {
    project: String,
    version: String,
    /// The release of Gateway API whose conformance tests it ran.
    suite: String,
    yes: Vec<String>,
    no: Vec<String>,
}

static REPORTS: LazyLock<Vec<Report>> = LazyLock::new(|| {
    let table: Value = serde_json::from_str(include_str!("features.json")).unwrap_or_default();
    let name =
        |index: &Value| table["features"].get(usize::try_from(index.as_u64()?).ok()?)?.as_str().map(str::to_owned);
    let names = |list: &Value| list.as_array().into_iter().flatten().filter_map(name).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = table["reports"].as_array().into_iter().flatten();
    let report = |row: &Value| Report {
        project: text(&row[0]),
        version: text(&row[1]),
        suite: text(&row[2]).trim_start_matches('v').to_owned(),
        yes: names(&row[3]),
        no: names(&row[4]),
    };
    rows.map(report).collect()
});

impl Release {
    /// Reads `PROJECT@VERSION`.
    ///
    /// # Errors
    /// It has no such form, or no report knows the project; in words, with the projects there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((project, version)) = text.split_once('@').filter(|(_, version)| !numbers(version).is_empty()) else {
            return Err(format!(
                "`{text}` is not a release of a Gateway controller; write PROJECT@VERSION, such as `nginx-gateway-fabric@2.7.0`"
            ));
        };
        if !REPORTS.iter().any(|report| report.project == project) {
            let mut known: Vec<&str> = REPORTS.iter().map(|report| report.project.as_str()).collect();
            known.dedup();
            let near = known.iter().min_by_key(|name| distance(name, project));
            let near = near.filter(|name| distance(name, project) <= 1 + project.len() / 4);
            let meant = near.map(|name| format!(" did you mean `{name}`?")).unwrap_or_default();
            return Err(format!("`{project}` is not a known Gateway controller;{meant} known: {}", known.join(", ")));
        }
        Ok(Self { project: project.to_owned(), version: version.trim_start_matches('v').to_owned(), reported: None })
    }

    /// The newest release of a project of which there is a report.
    pub fn newest(project: &str) -> Option<Self> {
        let newest = newest(project)?;
        Some(Self { project: newest.project.clone(), version: newest.version.clone(), reported: None })
    }

    /// Whether it accepts what uses a feature, and leaves that out.
    pub fn ignores(&self, feature: &str) -> bool {
        let names = names_of(feature);
        let judged = match self.standing() {
            Standing::Newer(newest) => newest,
            Standing::Reported | Standing::Unreported => &self.version,
        };
        IGNORED.iter().any(|(project, version, features)| {
            self.project == *project
                && format!("{judged}.").starts_with(version)
                && names.iter().any(|name| features.contains(name))
        })
    }

    /// How much is known of it.
    pub fn standing(&self) -> Standing {
        let Some(newest) = newest(&self.project) else { return Standing::Unreported };
        // Patches of a release have its features.
        let minor = |version: &str| numbers(version).into_iter().take(2).collect::<Vec<u64>>();
        if minor(&newest.version).iter().take(minor(&self.version).len()).lt(minor(&self.version).iter()) {
            return Standing::Newer(&newest.version);
        }
        if self.report().is_some() { Standing::Reported } else { Standing::Unreported }
    }

    /// The release of Gateway API whose tests its report is of, where they did not know a feature yet that newer ones know: then
    /// nobody says whether it has it.
    pub fn tested_before(&self, feature: &str) -> Option<&'static str> {
        let report = self.report().filter(|_| self.supports(feature) == Support::Unknown)?;
        let names = names_of(feature);
        let knows = |report: &&Report| names.iter().any(|name| report.yes.iter().chain(&report.no).any(|n| n == name));
        let first = REPORTS.iter().filter(knows).map(|report| numbers(&report.suite)).min()?;
        (numbers(&report.suite) < first).then_some(report.suite.as_str())
    }

    /// Whether it has a feature: as it says itself, as its report says, or that of the newest release before it of the same major
    /// version; one that is newer than all that are known as the newest of them.
    pub fn supports(&self, feature: &str) -> Support {
        let names = names_of(feature);
        let named = |list: &[String]| names.iter().any(|name| list.iter().any(|known| known == name));
        match self.report() {
            _ if self.ignores(feature) => Support::No,
            _ if self.reported.as_deref().is_some_and(named) => Support::Yes,
            _ if self.reported.is_some() => Support::No,
            Some(report) if named(&report.yes) => Support::Yes,
            Some(report) if named(&report.no) => Support::No,
            _ => Support::Unknown,
        }
    }

    /// Whether its version begins with these numbers or is later.
    pub fn is_at_least(&self, least: &[u64]) -> bool {
        numbers(&self.version).as_slice() >= least
    }

    fn report(&self) -> Option<&'static Report> {
        if let Some(newest) = newest(&self.project).filter(|newest| numbers(&newest.version) < numbers(&self.version)) {
            return Some(newest);
        }
        let wanted = numbers(&self.version);
        let same_major =
            |report: &&Report| report.project == self.project && numbers(&report.version).first() == wanted.first();
        // A version that ends early stands for all that begin so.
        let not_newer = |report: &&Report| {
            let known = numbers(&report.version);
            known.iter().take(wanted.len()).le(wanted.iter())
        };
        REPORTS.iter().filter(same_major).filter(not_newer).max_by_key(|report| numbers(&report.version))
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(format!("{} {}", self.project, self.version).trim_end())
    }
}

/// The newest report of a project.
fn newest(project: &str) -> Option<&'static Report> {
    REPORTS.iter().filter(|report| report.project == project).max_by_key(|report| numbers(&report.version))
}

/// The names that a feature has had.
fn names_of(feature: &str) -> Vec<&str> {
    let older = RENAMED.iter().filter(|(new, _)| *new == feature).map(|(_, old)| *old);
    std::iter::once(feature).chain(older).collect()
}

/// The project of a GatewayClass by its controllerName.
pub fn project_of(controller: &str) -> Option<&'static str> {
    CONTROLLERS.iter().find(|(name, _)| *name == controller).map(|(_, project)| *project)
}

/// The numbers of a version; none for what is no version.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(str::parse).collect::<Result<_, _>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_the_features_of_its_report() {
        let supports = |release: &str, feature: &str| Release::parse(release).map(|release| release.supports(feature));
        for (release, feature, support) in [
            ("nginx-gateway-fabric@2.7.0", "HTTPRouteRequestTimeout", Support::No),
            ("nginx-gateway-fabric@2.7", "HTTPRouteCORS", Support::Yes),
            ("nginx-gateway-fabric@2.5.0", "HTTPRouteRetryCodes", Support::No),
            ("nginx-gateway-fabric@2.9.0", "HTTPRoutePathRewrite", Support::Yes),
            ("envoy-gateway@1.9", "HTTPRouteRequestTimeout", Support::Yes),
            ("envoy-gateway@v1.9.0", "HTTPRouteRetryCodes", Support::Yes),
            ("envoy-gateway@99.0", "HTTPRouteRequestTimeout", Support::Yes),
            ("nginx-gateway-fabric@9.9.9", "HTTPRouteRequestTimeout", Support::No),
            ("envoy-gateway@0.1.0", "HTTPRouteRequestTimeout", Support::Unknown),
            ("traefik@3.7.10", "HTTPRouteRequestTimeout", Support::No),
            ("cilium@1.20.0", "SomethingNew", Support::Unknown),
        ] {
            assert_eq!(supports(release, feature), Ok(support), "{release} {feature}");
        }
        assert!(Release::parse("nginx").is_err_and(|why| why.contains("is not a release")));
        assert!(Release::parse("nginx@1.0").is_err_and(|why| why.contains("nginx-gateway-fabric")));
        assert!(Release::parse("envoy-gatway@1.9").is_err_and(|why| why.contains("did you mean `envoy-gateway`?")));
        assert!(Release::parse("cilium@latest").is_err_and(|why| why.contains("PROJECT@VERSION")));
    }

    #[test]
    fn how_much_is_known_of_a_release_is_a_value() {
        for (release, expected) in [
            ("traefik@3.7.10", Standing::Reported),
            ("traefik@3.7.99", Standing::Reported),
            ("traefik@3", Standing::Reported),
            ("traefik@3.8", Standing::Newer("3.7.10")),
            ("traefik@4", Standing::Newer("3.7.10")),
            ("traefik@2.11", Standing::Unreported),
        ] {
            assert_eq!(Release::parse(release).map(|release| release.standing()), Ok(expected), "{release}");
        }
    }

    #[test]
    fn a_feature_that_came_after_the_tests_of_a_release_is_known_of_nobody() {
        let before = |release: &str, feature: &str| {
            Release::parse(release).ok().and_then(|release| release.tested_before(feature))
        };
        assert_eq!(before("cilium@1.17.0", "HTTPRouteCORS"), Some("1.2.0"));
        assert_eq!(before("cilium@1.20.0", "HTTPRouteCORS"), None);
        assert_eq!(before("istio@1.22", "ListenerSet"), Some("1.1.0"));
        assert_eq!(before("cilium@1.17.0", "HTTPRouteRequestTimeout"), None);
        assert_eq!(before("cilium@1.17.0", "SomethingNew"), None);
    }
}
