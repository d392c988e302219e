//! Checks: rules that a repository is held against, each with a stable id, in a file of its own.
//!
//! **Invariants:** a check reads what it is given and changes nothing; a finding stands where its mistake is written. Checks
//! that guard ([`Check::guards`]) keep what they find from being applied, and nobody whom they bind can switch them off. So do
//! those that say of an object that it will not work, in every plan that changes it ([`of_changes`]). What all others find is
//! part of every plan too ([`add_findings`]), and keeps nothing from being applied.

mod ambiguous_scalar;
mod api_version;
mod app_name;
mod backend_kind;
mod backend_port;
mod baseline;
mod catalog;
mod certificate;
mod changes;
mod context;
mod cors_credentials;
mod crd_bundle;
mod crd_versions;
mod credential_in_git;
mod dangling_reference;
mod duplicate_match;
mod environments;
mod executor;
mod feature;
mod fields;
mod findings;
mod grpc_and_http;
mod health_check;
mod helm_hook;
mod image_latest;
mod image_tag;
mod kept_prefix;
mod known_release;
mod made_twice;
mod missing_key;
mod prefix_condition;
mod reading;
mod reference_grant;
mod replicas;
mod root_absolute;
mod route_attachment;
mod secret_in_git;
mod shape;
mod spin_info;
mod suggest;
mod suppress;
mod tenant_bounds;
mod tenant_egress;
mod tenant_gateway;
mod tenant_hostname;
mod tenant_identity;
mod tenant_image;
mod tenant_kind;
mod tenant_namespace;
mod tenant_open;
mod tenant_path;
mod tenant_privilege;
mod tenant_service_account;
mod timeout;
mod wildcard_host;
mod zero_weights;

pub use baseline::{baseline, fingerprint, without_known};
pub use catalog::CHECKS;
pub use changes::of_changes;
pub use context::Context;
pub use credential_in_git::is_shown;
pub use fields::{AtApply, at_apply, wrong_fields};
pub use findings::{KnownFindings, add_findings};
pub use suggest::suggest_rules;
pub use suppress::leave_out_by_config;
pub use tenant_bounds::without_namespaces;
pub use tenant_egress::unlimited;
pub use tenant_identity::{declaring, without_account};

use crate::desired::{Desired, parallel};
use crate::live::Live;
use crate::object::{Diagnostic, ObjectRef, Severity};
use crate::schema::Release;
use std::collections::BTreeSet;
use suppress::Wishes;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;

/// One rule.
pub struct Check {
    /// The stable id: `SPW101`.
    pub id: &'static str,
    /// The name: `tenant-namespace`.
    pub name: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// Whether it is part of every plan: what it finds is not applied.
    pub guards: bool,
    /// What it finds, in a sentence.
    pub what: &'static str,
    /// Why that is a mistake.
    pub why: &'static str,
    /// YAML that it finds.
    pub example: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Finds.
    run: fn(&Context<'_>) -> Vec<Diagnostic>,
}

impl Check {
    /// What it finds.
    pub fn run(&self, context: &Context<'_>) -> Vec<Diagnostic> {
        (self.run)(context)
    }

    /// Its page, in Markdown.
    pub fn page(&self) -> String {
        let Self { id, name, what, why, example, remedy, .. } = self;
        let severity = severity(self.severity);
        let guards = match (self.guards, changes::is_of_changes(self), self.severity) {
            (true, _, _) => " It is part of every plan: what it finds is not applied.",
            (_, true, Severity::Error) => " A plan holds what it changes against it: what it finds is not applied.",
            (_, true, _) => " A plan holds what it changes against it.",
            _ => "",
        };
        format!(
            "# {id}: {name}\n\n{what}\n\nSeverity: {severity}.{guards}\n\n## Why\n\n{why}\n\n## Example\n\n```yaml\n{}\n```\n\n## What to do\n\n{remedy}\n",
            example.trim()
        )
    }
}

/// The index of the pages, in Markdown.
pub fn index() -> String {
    let mut text = String::from(
        "# Checks\n\nGenerated from the program; `cargo test` checks that it is current. `spinway check --explain ID` prints a page.\n\n| | | | |\n|---|---|---|---|\n",
    );
    for check in CHECKS {
        let Check { id, name, what, .. } = check;
        text.push_str(&format!("| [{id}]({id}.md) | {name} | {} | {what} |\n", severity(check.severity)));
    }
    text + &reading::index()
}

/// The page of a check by its id or name, or of what is found while the repository is read, in Markdown.
pub fn explain(asked: &str) -> Option<String> {
    let check = CHECKS.iter().find(|check| check.id.eq_ignore_ascii_case(asked) || check.name == asked);
    check.map(|check| check.page()).or_else(|| reading::page(asked))
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What the checks that guard find; `plan` and `apply` hold back what it is about.
pub fn guard(desired: &Desired) -> Vec<Diagnostic> {
    let context = Context::new(desired);
    let mut found = CHECKS.iter().filter(|check| check.guards).flat_map(|check| check.run(&context)).collect();
    leave_out_by_config(desired, &mut found);
    found
}

/// What a repository wants without what is refused: errors keep that from being applied.
pub fn accepted(mut desired: Desired) -> Desired {
    let found = guard(&desired);
    let refused = desired.diagnostics.iter().chain(&found).filter(|finding| finding.severity == Severity::Error);
    let refused: BTreeSet<ObjectRef> = refused.filter_map(|finding| finding.object.clone()).collect();
    desired.objects.retain(|object, _| !refused.contains(object));
    desired
}

/// What all checks find in one environment, and what reading it found, without what it asks not to be told of.
fn of_environment(
    desired: &Desired,
    wishes: &mut Wishes,
    controller: Option<&Release>,
    live: Option<&Live>,
) -> Vec<Diagnostic> {
    let context = Context::new(desired).served_by(controller).beside(live);
    let mut found = parallel::each(CHECKS, |check| check.run(&context)).concat();
    found.extend(context.graph().circles(desired).into_iter().map(|circle| circle.finding));
    found.extend(desired.diagnostics.iter().map(reading::with_help));
    wishes.leave_out(&mut found);
    found
}

/// What all checks find in environments of one repository, and what reading them found, without what the repository asks
/// not to be told of, with a reason.
///
/// With `controller` every Gateway is taken to be served by that release; `live` is what is known of the cluster: types, objects
/// that live elsewhere, and what Gateway controllers say of themselves.
pub fn all(environments: &[Desired], controller: Option<&Release>, live: Option<&Live>) -> Vec<Diagnostic> {
    let mut wishes: Vec<Wishes> = environments.iter().map(Wishes::of).collect();
    let mut all = Vec::new();
    for (desired, wishes) in environments.iter().zip(&mut wishes) {
        all.extend(of_environment(desired, wishes, controller, live));
    }
    let mut between = environments::across(environments);
    between.extend(crd_bundle::across(environments));
    between.extend(crd_versions::across(environments));
    wishes.iter_mut().for_each(|wishes| wishes.leave_out(&mut between));
    all.extend(between);
    all.extend(Wishes::wrong(&wishes));
    all
}
