//! SPW034.

use super::{Check, Context};
use crate::object::{Diagnostic, Severity};
use crate::schema::{Release, Standing, releases};

pub(super) const CHECK: Check = Check {
    id: "SPW034",
    name: "known-release",
    severity: Severity::Warning,
    guards: false,
    what: "spinway.yaml names a release of which little or nothing is known here.",
    why: "A release that is newer than all that are known is judged by the newest known one, so that no check is switched off by it. Of \
          releases of Gateway API that are older than the built-in tables no types are known: their objects are checked where a \
          definition is at hand and nowhere else. Of a controller without a conformance report nobody knows which features it has.",
    example: "# spinway.yaml\napiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: shop}\nspec:\n  sources: [apps]\n  \
              environments: [{name: test}]\n  controllers: [{gatewayClass: nginx, release: nginx-gateway-fabric@9.9.9}]",
    remedy: "Write the release that is installed. Where it is older than the tables of Gateway API, keep its definitions in the \
             repository or check with `--snapshot`.",
    run,
};

fn run(context: &Context<'_>) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = of_gateway_api(context).into_iter().collect();
    for (index, controller) in context.rules.controllers.iter().enumerate() {
        let release = Release::parse(&controller.release).ok();
        let finding = release.and_then(|release| of_controller(&release));
        found.extend(finding.map(|finding| placed(context, finding, &format!("/spec/controllers/{index}/release"))));
    }
    found.extend(context.controller.as_ref().and_then(of_controller));
    found
}

fn placed(context: &Context<'_>, finding: Diagnostic, pointer: &str) -> Diagnostic {
    match context.desired.config_place(pointer) {
        Some(place) => finding.at(place),
        None => finding,
    }
}

/// A release of Gateway API that is older than the tables; other unknown ones are errors of the Config.
fn of_gateway_api(context: &Context<'_>) -> Option<Diagnostic> {
    let written = context.rules.gateway_api.release.as_deref()?;
    let installed = context.rules.gateway_api.installed();
    if installed.release.is_none() || !installed.editions().is_empty() {
        return None;
    }
    let known: Vec<String> = releases().iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
    let message = format!(
        "The types of Gateway API {written} are not built in (built in: {}), so its objects are checked only where a definition is at \
         hand.",
        known.join(", ")
    );
    let help = format!(
        "Keep the definitions of Gateway API {written} in the repository, or check with `--snapshot FILE` (`spinway snapshot`)."
    );
    let finding = Diagnostic::new(Severity::Note, CHECK.id, message).help(help);
    Some(placed(context, finding, "/spec/gatewayApi/release"))
}

/// A release of a controller that is newer than all that are known, or of which there is no report.
fn of_controller(release: &Release) -> Option<Diagnostic> {
    let (severity, message, help) = match release.standing() {
        Standing::Reported => return None,
        Standing::Newer(newest) => (
            CHECK.severity,
            format!("{release} is newer than the newest known release, {newest}, whose features judge it."),
            format!("Write `{}@{newest}` if that is installed.", release.project),
        ),
        Standing::Unreported => (
            Severity::Note,
            format!("No conformance report is known of {release}, so the features that routes use are not checked."),
            "Write the release that is installed, or check with `--snapshot FILE`: a GatewayClass tells its features."
                .to_owned(),
        ),
    };
    Some(Diagnostic::new(severity, CHECK.id, message).help(help))
}
