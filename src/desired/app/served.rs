//! What serves the routes of an App: the controller of their Gateway, and what it does not have.

use super::Template;
use super::route::{PERMANENT, group_of, has_proxy_settings};
use super::spec::Route;
use crate::object::Diagnostic;
use crate::schema::{Release, Support, project_of};

/// The projects that read filters of an API group.
const READERS: [(&str, &[&str]); 5] = [
    ("gateway.nginx.org", &["nginx-gateway-fabric"]),
    ("gateway.envoyproxy.io", &["envoy-gateway"]),
    ("traefik.io", &["traefik"]),
    ("configuration.konghq.com", &["kong-operator", "kubernetes-ingress-controller"]),
    ("gateway.kgateway.dev", &["kgateway", "agentgateway"]),
];

impl Template<'_> {
    /// Holds what a route asks for against what the Gateway's controller does: nothing is left out without a word.
    pub(super) fn check_features(&mut self, at: &str, route: &Route) {
        let Some(release) = self.release(route) else { return self.say_unknown(at, route) };
        for (field, feature) in self.asked(route) {
            if release.supports(feature) != Support::No {
                continue;
            }
            let pointer = if field.starts_with('/') { field.to_owned() } else { format!("{at}/{field}") };
            if field == "timeout" && has_proxy_settings(&release) {
                let message = format!(
                    "{release} ignores `timeouts` of routes; a ProxySettingsPolicy limits the wait for each part of an answer instead."
                );
                let note = Diagnostic::note("app-timeout", message).at(self.at(&pointer).clone());
                self.found.push(note.about(&self.reference));
                continue;
            }
            let message =
                format!("{release} does not have `{}` ({feature}).", field.trim_start_matches('/').replace('/', "."));
            let help = if feature.ends_with("RedirectStatusCode") {
                "Use `redirect` with `status: 302`, or have the route served by another Gateway."
            } else {
                "Remove it, or have the route served by another Gateway."
            };
            self.wrong(&pointer, message, help);
        }
        self.check_policies(at, route, &release);
    }

    /// Says that nobody knows whether a route gets what it asks for, where some controllers leave it out.
    fn say_unknown(&mut self, at: &str, route: &Route) {
        let Some(gateway) = self.gateway(route) else { return };
        let asked = self.asked(route);
        for (field, _) in
            asked.into_iter().filter(|(field, _)| ["timeout", "backendTimeout", "retries"].contains(field))
        {
            let message = format!("It is not known which controller serves {gateway}, and some ignore `{field}`.");
            let help = "Say in `controllers` of spinway.yaml which release serves its GatewayClass.";
            let note = Diagnostic::note("app-controller", message).at(self.at(&format!("{at}/{field}")).clone());
            self.found.push(note.about(&self.reference).help(help));
        }
    }

    /// The features that a route asks for, each with its field; those of the canary with their place in the App.
    fn asked(&self, route: &Route) -> Vec<(&'static str, &'static str)> {
        let redirect = route.redirect.clone().unwrap_or_default();
        let is_redirect = route.redirect.is_some() || route.redirect_to.is_some();
        let canary = self.app.canary.as_ref().and_then(|canary| canary.matches.as_ref()).filter(|_| !is_redirect);
        let rewrites = !is_redirect && !route.keep_prefix && !route.path.trim_end_matches('/').is_empty();
        let percent = route.mirror.as_ref().is_some_and(|mirror| mirror.percent.is_some());
        let all = [
            ("timeout", "HTTPRouteRequestTimeout", route.timeout.is_some()),
            ("backendTimeout", "HTTPRouteBackendTimeout", route.backend_timeout.is_some()),
            ("retries", "HTTPRouteRetryCodes", route.retries.is_some()),
            ("cors", "HTTPRouteCORS", route.cors.is_some()),
            ("mirror", "HTTPRouteRequestMirror", route.mirror.is_some()),
            ("mirror/percent", "HTTPRouteRequestPercentageMirror", percent),
            ("methods", "HTTPRouteMethodMatching", !route.methods.is_empty()),
            ("query", "HTTPRouteQueryParamMatching", !route.query.is_empty()),
            ("/canary/match/query", "HTTPRouteQueryParamMatching", canary.is_some_and(|c| !c.query.is_empty())),
            ("responseHeaders", "HTTPRouteResponseHeaderModification", route.response_headers.is_some()),
            ("/rollout/settle", "HTTPRouteResponseHeaderModification", self.settle_probe(route).is_some()),
            ("port", "HTTPRouteParentRefPort", route.port.is_some()),
            ("path", "HTTPRoutePathRewrite", rewrites),
            ("redirect/scheme", "HTTPRouteSchemeRedirect", redirect.scheme.is_some()),
            ("redirect/port", "HTTPRoutePortRedirect", redirect.port.is_some()),
            ("redirect/path", "HTTPRoutePathRedirect", redirect.path.is_some()),
            ("redirectTo", "HTTPRoutePathRedirect", route.redirect_to.is_some()),
            (
                "redirectTo",
                "HTTPRouteSchemeRedirect",
                self.target_of(route).is_some_and(|to| self.other_scheme(route, to).is_some()),
            ),
        ];
        let asked = all.into_iter().filter(|(_, _, is_there)| *is_there).map(|(field, feature, _)| (field, feature));
        asked.chain(status_feature(route)).collect()
    }

    /// The route of the App that a route sends clients to.
    fn target_of(&self, route: &Route) -> Option<&Route> {
        let to = route.redirect_to.as_ref()?;
        self.app.routes.iter().find(|other| other.name.as_ref() == Some(to))
    }

    /// Holds the filters that a route names against its Gateway's controller, which knows its own alone.
    fn check_policies(&mut self, at: &str, route: &Route, release: &Release) {
        for (index, policy) in route.policies.iter().enumerate() {
            let group = policy.group.as_deref().or(group_of(&policy.kind)).unwrap_or_default();
            let readers = READERS.iter().find(|(known, _)| *known == group).map(|(_, projects)| *projects);
            if readers.is_some_and(|readers| !readers.contains(&release.project.as_str())) {
                let message = format!("{release} does not read {} of {group}.", policy.kind);
                let help = "Name a filter of the controller that serves the route.";
                self.wrong(&format!("{at}/policies/{index}"), message, help);
            }
        }
    }

    /// The release of the controller that serves a route: as the Config names it, else the newest of the controller that the
    /// GatewayClass names.
    pub(super) fn release(&self, route: &Route) -> Option<Release> {
        let controllers = &self.around.config.controllers;
        let class = self.gateway(route).and_then(|gateway| (self.around.class_of)(&gateway));
        let named = match (&class, controllers.as_slice()) {
            (Some(class), all) => all.iter().find(|controller| controller.gateway_class == *class),
            // The Gateway lives elsewhere.
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        match named {
            Some(controller) => Release::parse(&controller.release).ok(),
            None => Release::newest(project_of(&(self.around.controller_of)(&class?)?)?),
        }
    }
}

/// The feature of the status of a redirect, with its field.
fn status_feature(route: &Route) -> Option<(&'static str, &'static str)> {
    let (field, status) = match (&route.redirect_to, &route.redirect) {
        (Some(_), _) => ("redirectTo", PERMANENT),
        (None, Some(redirect)) => ("redirect", redirect.status.unwrap_or(PERMANENT)),
        (None, None) => return None,
    };
    let feature = match status {
        303 => "HTTPRoute303RedirectStatusCode",
        307 => "HTTPRoute307RedirectStatusCode",
        308 => "HTTPRoute308RedirectStatusCode",
        _ => return None,
    };
    Some((field, feature))
}
