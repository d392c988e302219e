//! Kinds and groups that are nearly those of spinway, SpinKube, Gateway API or Kubernetes: what is written so is applied by nobody,
//! and no rule that is written for the right name holds for it.

use super::config::GROUP;
use super::{Config, LOCAL_KINDS};
use crate::kinds::{GATEWAY, SPIN};
use crate::object::{GroupKind, api_version, distance, nearest};
use crate::schema;

/// The version of the local kinds.
pub(super) const VERSION: &str = "v1alpha1";

/// Groups, and ends of groups, of projects whose kinds may have the names of ours: `App` of Rancher, `Config` of Gatekeeper,
/// `Gateway` of Istio, `HTTPRoute` of Linkerd.
const FOREIGN: [&str; 63] = [
    "amazonaws.com",
    "aws",
    "apache.org",
    "argoproj.io",
    "azure.com",
    "bitnami.com",
    "carvel.dev",
    "cattle.io",
    "cert-manager.io",
    "cilium.io",
    "cloud.google.com",
    "coreos.com",
    "crossplane.io",
    "dapr.io",
    "elastic.co",
    "envoyproxy.io",
    "external-secrets.io",
    "fermyon.com",
    "fission.io",
    "fluxcd.io",
    "gatekeeper.sh",
    "getambassador.io",
    "gke.io",
    "grafana.com",
    "gravitee.io",
    "hashicorp.com",
    "higress.io",
    "istio.io",
    "k14s.io",
    "k8s.aws",
    "karmada.io",
    "keda.sh",
    "kgateway.dev",
    "kiali.io",
    "knative.dev",
    "konghq.com",
    "kubeflow.org",
    "kubesphere.io",
    "kubevirt.io",
    "kuma.io",
    "kyverno.io",
    "linkerd.io",
    "longhorn.io",
    "metallb.io",
    "nginx.org",
    "nvidia.com",
    "oam.dev",
    "open-cluster-management.io",
    "openshift.io",
    "opentelemetry.io",
    "projectcalico.org",
    "projectcontour.io",
    "radapp.io",
    "rancher.io",
    "redhat.com",
    "rook.io",
    "solo.io",
    "spinoperator.dev",
    "strimzi.io",
    "tekton.dev",
    "traefik.io",
    "volcano.sh",
    "x-k8s.io",
];

/// Groups that no API server has: their documents are read by command line tools.
const TOOLS: [&str; 7] =
    ["audit.k8s.io", "backstage.io", "k3d.io", "kind.x-k8s.io", "kubeadm.k8s.io", "skaffold", "config.k8s.io"];

/// What a document of a tool is: nothing that is applied.
pub(super) fn is_of_a_tool(group: &str, version: &str, kind: &str, is_kubeconfig: bool) -> bool {
    let is_below = |end: &&str| group == *end || group.strip_suffix(*end).is_some_and(|rest| rest.ends_with('.'));
    let of_tool = TOOLS.into_iter().any(|end| is_below(&end));
    let of_carvel = kind == "Config" && group.ends_with(".k14s.io");
    // Talos: `apiVersion: v1alpha1`. The core group has one version alone.
    let of_no_server = group.is_empty() && version != "v1" && meant_anywhere(kind).is_none();
    of_tool || of_carvel || of_no_server || (group.is_empty() && kind == "Config" && is_kubeconfig)
}

/// The apiVersion and kind that were probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misspelt {
    /// What was meant; none where the group is spinway's and no kind of it is near.
    pub(super) meant: Option<(String, String)>,
}

impl Misspelt {
    fn meant(api_version: String, kind: &str) -> Option<Self> {
        Some(Self { meant: Some((api_version, kind.to_owned())) })
    }

    /// What to do about it.
    pub(super) fn help(&self, kind: &GroupKind) -> String {
        match &self.meant {
            None => format!("`{GROUP}/{VERSION}` has the kinds {}.", quoted(&LOCAL_KINDS)),
            Some((api_version, meant)) => format!(
                "Did you mean `apiVersion: {api_version}` and `kind: {meant}`? If `{kind}` is a kind of another project, add its \
                 CustomResourceDefinition to the sources or to `externals` in spinway.yaml."
            ),
        }
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is known of groups beside those of the tables: by definitions of the repository, or since the Config says so.
pub(super) struct Defined<'a> {
    config: &'a Config,
    kinds: Vec<GroupKind>,
}

impl<'a> Defined<'a> {
    /// What these definitions and a Config make known.
    pub(super) fn new(config: &'a Config, kinds: Vec<GroupKind>) -> Self {
        Self { config, kinds }
    }

    fn has(&self, kind: &GroupKind) -> bool {
        self.kinds.contains(kind)
    }

    fn has_group(&self, group: &str) -> bool {
        let is_external = || {
            let definitions = self.config.externals.iter();
            let mut names = definitions
                .filter(|external| external.kind.as_deref() == Some("CustomResourceDefinition"))
                .filter_map(|external| external.name.as_ref());
            names.any(|name| name.as_str().split_once('.').is_some_and(|(_, of)| of == group))
        };
        self.kinds.iter().any(|kind| kind.group == group) || is_external()
    }
}

/// Whether a kind in a version is a misspelling of one that is known, and of which.
pub(super) fn misspelt(kind: &GroupKind, version: &str, defined: &Defined<'_>) -> Option<Misspelt> {
    let (group, name) = (kind.group.as_str(), kind.kind.as_str());
    if defined.has(kind) {
        return None;
    }
    let local = || nearest(name, LOCAL_KINDS);
    let own = format!("{GROUP}/{VERSION}");
    if group == GROUP {
        if LOCAL_KINDS.contains(&name) && version == VERSION {
            return None;
        }
        return Some(Misspelt { meant: local().map(|kind| (own, kind.to_owned())) });
    }
    if defined.has_group(group) {
        return None;
    }
    if resembles_ours(group) {
        return Some(Misspelt { meant: local().map(|kind| (own, kind.to_owned())) });
    }
    let kinds = schema::kinds_of(group);
    if !kinds.is_empty() {
        if kinds.contains(name) {
            return None;
        }
        // The group is known as a whole.
        let of_plural = || kinds.iter().copied().find(|kind| plural(kind).eq_ignore_ascii_case(name));
        return match nearest(name, kinds.iter().copied()).or_else(of_plural) {
            Some(kind) => Misspelt::meant(api_version(group, version), kind),
            None => meant_anywhere(name)
                .and_then(|(group, kind)| Misspelt::meant(usual(group), kind))
                .or_else(|| of_another_group(group, name)),
        };
    }
    // The experimental kinds have a group and names of their own.
    if group == "gateway.networking.x-k8s.io" && schema::kinds_of(GATEWAY).contains(name) {
        return Misspelt::meant(usual(GATEWAY), name);
    }
    if let Some(meant) = near_group(group, name) {
        let kinds = schema::kinds_of(meant);
        let meant_kind = nearest(name, kinds.iter().copied()).unwrap_or(name);
        let version = if [SPIN, GATEWAY].contains(&meant) { usual(meant) } else { api_version(meant, version) };
        return Misspelt::meant(version, meant_kind);
    }
    if FOREIGN.iter().any(|end| group == *end || group.strip_suffix(*end).is_some_and(|rest| rest.ends_with('.'))) {
        return None;
    }
    meant_anywhere(name).and_then(|(group, kind)| Misspelt::meant(usual(group), kind))
}

/// The apiVersion of a group that manifests have.
fn usual(group: &str) -> String {
    match group {
        GATEWAY => api_version(group, "v1"),
        _ => api_version(group, VERSION),
    }
}

/// The kind of another group of Kubernetes that is meant by a name which this group of Kubernetes does not have: the very name, in
/// other letters or in the plural, or one that is a slip away and long enough for that.
fn of_another_group(group: &str, name: &str) -> Option<Misspelt> {
    const LONG: usize = 8;
    let others = || schema::groups().into_iter().filter(|other| *other != group && !other.ends_with(".spinkube.dev"));
    let all = || others().flat_map(|group| schema::kinds_of(group).into_iter().map(move |kind| (group, kind)));
    let same = all().find(|(_, kind)| kind.eq_ignore_ascii_case(name) || plural(kind).eq_ignore_ascii_case(name));
    let near = || {
        let long = all().filter(|(_, kind)| kind.len() >= LONG && name.len() >= LONG);
        let meant = nearest(name, long.map(|(_, kind)| kind))?;
        all().find(|(_, kind)| *kind == meant)
    };
    let (group, kind) = same.or_else(near)?;
    Misspelt::meant(api_version(group, "v1"), kind)
}

/// The plural of a kind as English has it.
fn plural(kind: &str) -> String {
    match kind.strip_suffix('y') {
        Some(stem) if !kind.ends_with("way") => format!("{stem}ies"),
        _ => format!("{kind}s"),
    }
}

/// Whether a group that is not ours looks like it: `spinway.io`, `spinwy.dev`.
pub(super) fn resembles_ours(group: &str) -> bool {
    const WORD: &str = "spinway";
    let group = group.to_lowercase();
    distance(&group, GROUP) <= 2 || group.split('.').any(|label| distance(label, WORD) <= 1)
}

/// The known group that a misspelt one is near to, where that has a kind near to this name.
fn near_group(group: &str, kind: &str) -> Option<&'static str> {
    // These are right, and one letter from others.
    if group.ends_with("x-k8s.io") || group.contains("spinoperator") {
        return None;
    }
    let stem = |group: &str| group.rsplit_once('.').map_or_else(|| group.to_owned(), |(stem, _)| stem.to_owned());
    let is_near = |known: &&str| {
        let slips = if known.len() < 8 { 1 } else { 2 };
        let is_other_end = known.matches('.').count() > 1 && stem(known) == stem(&group.to_lowercase());
        distance(known, &group.to_lowercase()) <= slips || is_other_end
    };
    let groups = schema::groups();
    let near = groups.into_iter().filter(|known| !known.is_empty()).filter(is_near);
    let has = |known: &&str| nearest(kind, schema::kinds_of(known).iter().copied()).is_some();
    near.filter(has).min_by_key(|known| distance(known, group))
}

/// The kind of spinway, SpinKube or Gateway API that a name stands for, whatever its group: it differs in case alone, or is long
/// enough for a slip to be told from another word.
fn meant_anywhere(name: &str) -> Option<(&'static str, &'static str)> {
    const LONG: usize = 6;
    let local = LOCAL_KINDS.into_iter().map(|kind| (GROUP, kind));
    let known =
        [SPIN, GATEWAY].into_iter().flat_map(|group| schema::kinds_of(group).into_iter().map(move |k| (group, k)));
    let all: Vec<(&str, &str)> = local.chain(known).collect();
    let is_same = |kind: &&str| kind.eq_ignore_ascii_case(name) || name.eq_ignore_ascii_case(&format!("{kind}s"));
    let exact = all.iter().find(|(_, kind)| is_same(kind));
    let near = || {
        let long = all.iter().filter(|(_, kind)| kind.len() >= LONG && name.len() >= LONG);
        let meant = nearest(name, long.map(|(_, kind)| *kind))?;
        all.iter().find(|(_, kind)| *kind == meant)
    };
    exact.or_else(near).copied()
}

/// The kind that a name in the Config was probably meant to be, where it is none that is known and no group says that it is another's.
pub(super) fn misspelt_name(name: &str, group: Option<&str>) -> Option<&'static str> {
    let is_known_group = group.is_none_or(|group| group == GROUP || !schema::kinds_of(group).is_empty());
    let is_pattern = name.contains(['*', '?', '[', '{', '!', '.', '$']);
    if is_pattern || !is_known_group || name.is_empty() {
        return None;
    }
    let known: Vec<&'static str> = match group {
        Some(GROUP) => LOCAL_KINDS.to_vec(),
        Some(group) => schema::kinds_of(group).into_iter().collect(),
        None => schema::groups().into_iter().flat_map(schema::kinds_of).chain(LOCAL_KINDS).collect(),
    };
    if known.contains(&name) {
        return None;
    }
    let is_near = |kind: &&&str| kind.eq_ignore_ascii_case(name) || kind.len() >= 6;
    nearest(name, known.iter().filter(is_near).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(api_version: &str, kind: &str) -> Option<String> {
        let (group, version) = crate::object::split_api_version(api_version);
        let config = Config::default();
        let defined = Defined::new(&config, vec![GroupKind::new("acme.example", "App")]);
        let found = misspelt(&GroupKind::new(group, kind), version, &defined)?;
        Some(found.meant.map_or_else(|| "?".to_owned(), |(api_version, kind)| format!("{api_version} {kind}")))
    }

    #[test]
    fn near_misses_are_told_with_what_was_meant() {
        for (api_version, kind, expected) in [
            ("spinway.dev/v1alpha1", "app", "spinway.dev/v1alpha1 App"),
            ("spinway.dev/v1alpha2", "App", "spinway.dev/v1alpha1 App"),
            ("spinway.dev/v1", "Aproval", "spinway.dev/v1alpha1 Approval"),
            ("spinway.dev/v1alpha1", "Tenant", "?"),
            ("spinway.io/v1alpha1", "App", "spinway.dev/v1alpha1 App"),
            ("spinwy.dev/v1alpha1", "Patch", "spinway.dev/v1alpha1 Patch"),
            ("Spinway.dev/v1alpha1", "Config", "spinway.dev/v1alpha1 Config"),
            ("v1alpha1", "App", "spinway.dev/v1alpha1 App"),
            ("apps/v1", "App", "spinway.dev/v1alpha1 App"),
            ("shop.example/v1", "App", "spinway.dev/v1alpha1 App"),
            ("core.spinkube.dev/v1alpha1", "SpinAp", "core.spinkube.dev/v1alpha1 SpinApp"),
            ("core.spinkube.dev/v1alpha1", "Spinapp", "core.spinkube.dev/v1alpha1 SpinApp"),
            ("core.spinkube.io/v1alpha1", "SpinApp", "core.spinkube.dev/v1alpha1 SpinApp"),
            ("spinkube.dev/v1alpha1", "SpinApp", "core.spinkube.dev/v1alpha1 SpinApp"),
            ("gateway.networking.k8s.io/v1", "HttpRoute", "gateway.networking.k8s.io/v1 HTTPRoute"),
            ("gateway.networking.k8s.io/v1", "HTTPRoutes", "gateway.networking.k8s.io/v1 HTTPRoute"),
            ("gateway.networking.k8s.oi/v1", "HTTPRoute", "gateway.networking.k8s.io/v1 HTTPRoute"),
            ("gateway.network.k8s.io/v1", "Gatway", "gateway.networking.k8s.io/v1 Gateway"),
            ("networking.k8s.io/v1", "HTTPRoute", "gateway.networking.k8s.io/v1 HTTPRoute"),
            ("networking.k8s.io/v1", "NetworkPolcy", "networking.k8s.io/v1 NetworkPolicy"),
            ("networkin.k8s.io/v1", "NetworkPolicy", "networking.k8s.io/v1 NetworkPolicy"),
            ("v1", "Deployment", "apps/v1 Deployment"),
            ("v1", "Networkpolicy", "networking.k8s.io/v1 NetworkPolicy"),
            ("apps/v1", "Ingress", "networking.k8s.io/v1 Ingress"),
            ("networking.k8s.io/v1", "NetworkPolicies", "networking.k8s.io/v1 NetworkPolicy"),
            ("gateway.networking.k8s.io/v1", "BackendTLSPolicies", "gateway.networking.k8s.io/v1 BackendTLSPolicy"),
            ("gateway.networking.x-k8s.io/v1", "HTTPRoute", "gateway.networking.k8s.io/v1 HTTPRoute"),
            ("app/v1", "Deployment", "apps/v1 Deployment"),
            ("apps/v1", "deployment", "apps/v1 Deployment"),
            ("v1", "Namspace", "v1 Namespace"),
        ] {
            assert_eq!(meant(api_version, kind).as_deref(), Some(expected), "{api_version} {kind}");
        }
    }

    #[test]
    fn kinds_of_others_are_theirs() {
        for (api_version, kind) in [
            ("spinway.dev/v1alpha1", "App"),
            ("acme.example/v1", "App"),
            ("app.k8s.io/v1beta1", "Application"),
            ("argoproj.io/v1alpha1", "Application"),
            ("catalog.cattle.io/v1", "App"),
            ("kappctrl.k14s.io/v1alpha1", "App"),
            ("config.gatekeeper.sh/v1alpha1", "Config"),
            ("networking.istio.io/v1", "Gateway"),
            ("policy.linkerd.io/v1beta3", "HTTPRoute"),
            ("gateway.networking.x-k8s.io/v1alpha1", "XListenerSet"),
            ("gateway.networking.k8s.io/v1", "Mesh"),
            ("gateway.envoyproxy.io/v1alpha1", "HTTPRouteFilter"),
            ("core.spinoperator.dev/v1alpha1", "SpinApp"),
            ("serving.knative.dev/v1", "Service"),
            ("batch.volcano.sh/v1alpha1", "Job"),
            ("traefik.io/v1alpha1", "IngressRoute"),
            ("cert-manager.io/v1", "Certificate"),
            ("acme.example/v1", "Anything"),
            ("shop.example/v1", "Widget"),
            ("metrics.k8s.io/v1beta1", "PodMetrics"),
            ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"),
        ] {
            assert_eq!(meant(api_version, kind), None, "{api_version} {kind}");
        }
    }

    #[test]
    fn documents_of_tools_are_no_objects() {
        for (group, version, kind, is_kubeconfig, expected) in [
            ("", "v1", "Config", true, true),
            ("", "v1", "Config", false, false),
            ("", "v1alpha1", "HostnameConfig", false, true),
            ("", "v1alpha1", "App", false, false),
            ("", "v2", "Anything", false, true),
            ("", "v1", "ConfigMap", false, false),
            ("skaffold", "v4beta1", "Config", false, true),
            ("kubelet.config.k8s.io", "v1beta1", "KubeletConfiguration", false, true),
            ("kapp.k14s.io", "v1alpha1", "Config", false, true),
            ("config.gatekeeper.sh", "v1alpha1", "Config", false, false),
        ] {
            assert_eq!(is_of_a_tool(group, version, kind, is_kubeconfig), expected, "{group} {kind}");
        }
    }

    #[test]
    fn kinds_that_the_config_names_are_spelt_right() {
        for (name, group, expected) in [
            ("Deploymnt", None, Some("Deployment")),
            ("deployment", None, Some("Deployment")),
            ("HttpRoute", Some(GATEWAY), Some("HTTPRoute")),
            ("Deployment", None, None),
            ("App", None, None),
            ("Widget", None, None),
            ("Rollout", Some("argoproj.io"), None),
            ("Deploy*", None, None),
        ] {
            assert_eq!(misspelt_name(name, group), expected, "{name}");
        }
    }
}
