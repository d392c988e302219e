//! What people stopped: objects that are paused in the cluster, and what is suspended or held at a revision.

use super::{Action, Change, Options, Plan, Reason, selection};
use crate::desired::{Desired, PLATFORM};
use crate::inventory::{PAUSE, Scope, Stop, parent_of, paused};
use crate::live::Live;
use crate::object::{Diagnostic, annotation};
use serde_json::Value;
use std::collections::BTreeMap;

/// Holds the changes that are paused or suspended, before anything is asked about approval: consent to a destruction does
/// not start what someone stopped.
pub(super) fn restrain(plan: &mut Plan, desired: &Desired, live: &Live, options: &Options) {
    let now = options.now;
    let stops = suspensions(plan, desired, now);
    for change in &mut plan.changes {
        // One that is proven as wanted carries no pause: the screen keeps those that do.
        let looked = (!live.is_unchanged(&change.object)).then(|| live.get(&change.object)).flatten();
        if let Some(value) = looked {
            match paused(value, now) {
                Ok(Some(pause)) => hold(change, Reason::Paused(pause)),
                Ok(None) => {}
                Err(why) => plan.diagnostics.push(Diagnostic::warning("pause", why.terminal()).about(&change.object)),
            }
        }
        let own = stops.by_partition.get(&change.partition).into_iter().flatten();
        let over: Vec<&Stop> =
            stops.everywhere.iter().chain(own).filter(|stop| covers(stop, change, desired, live)).collect();
        for stop in over {
            hold(change, Reason::Stopped(stop.clone()));
        }
        if options.by_agent && change.action.is_acting() && is_permission(change, desired, looked) {
            hold(change, Reason::AgentsOwn);
        }
        change.because.extend(desired.held_back.get(&change.object).cloned().map(Reason::Stopped));
    }
}

/// Whether an object is part of who the agent of this environment is and what it and people may do: as
/// [`crate::install`] names it, under whatever name the Config had, or a binding that gives the agent more.
fn is_permission(change: &Change, desired: &Desired, live: Option<&Value>) -> bool {
    const RBAC: &str = "rbac.authorization.k8s.io";
    const GROUPS: [&str; 2] = [RBAC, "admissionregistration.k8s.io"];
    let object = &change.object;
    let inventory = &desired.rules().inventory;
    let configs = std::iter::once(&desired.name).chain(&inventory.previous_names);
    let agents: Vec<String> = configs.map(|name| format!("spinway.{name}.{}", desired.environment.name)).collect();
    let is_named = |name: &str, agent: &String| {
        name.strip_prefix(agent.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let named = agents.iter().any(|agent| is_named(&object.name, agent));
    if named && (GROUPS.contains(&object.group.as_str()) || object.is("", "ServiceAccount")) {
        return true;
    }
    let of_agent = |subject: &Value| {
        let text = |field: &str| subject.get(field).and_then(Value::as_str).unwrap_or_default();
        let account = text("namespace") == inventory.namespace && agents.iter().any(|agent| agent == text("name"));
        let groups = ["system:authenticated", "system:serviceaccounts"];
        let own = format!("system:serviceaccounts:{}", inventory.namespace);
        let user =
            agents.iter().any(|agent| text("name") == format!("system:serviceaccount:{}:{agent}", inventory.namespace));
        text("kind") == "ServiceAccount" && account
            || text("kind") == "User" && user
            || text("kind") == "Group" && (groups.contains(&text("name")) || text("name") == own)
    };
    let binds =
        |value: &Value| crate::kinds::each(value, "subjects[]").into_iter().any(|(_, subject)| of_agent(subject));
    let wanted = desired.objects.get(object).map(|member| &member.object.value);
    object.group == RBAC && wanted.into_iter().chain(live).any(binds)
}

/// The suspensions in force.
struct Suspensions {
    everywhere: Vec<Stop>,
    by_partition: BTreeMap<String, Vec<Stop>>,
}

/// Finds them once: there are hardly any, and many changes.
fn suspensions(plan: &Plan, desired: &Desired, now: i64) -> Suspensions {
    let platform = parent_of(&plan.parents, &desired.name, &desired.environment.name, PLATFORM);
    let is_in_force = |stop: &&Stop| stop.revision.is_none() && stop.is_in_force(now);
    let environment = |stop: &&Stop| stop.scope == Scope::Environment;
    let on_platform = platform.into_iter().flat_map(|parent| &parent.stops);
    let everywhere = on_platform.filter(is_in_force).filter(environment).cloned().collect();
    let mut by_partition: BTreeMap<String, Vec<Stop>> = BTreeMap::new();
    for parent in plan.parents.iter().filter(|parent| !parent.stops.is_empty()) {
        let own = parent.stops.iter().filter(is_in_force).filter(|stop| !environment(stop)).cloned();
        by_partition.entry(parent.partition.clone()).or_default().extend(own);
    }
    Suspensions { everywhere, by_partition }
}

/// Objects of the repository that pause themselves: a pause is set in the cluster, never from Git.
pub(super) fn pauses_in_git(desired: &Desired) -> Vec<Diagnostic> {
    let pausing = desired.objects.iter().filter(|(_, m)| annotation(&m.object.value, PAUSE).is_some());
    let error = |reference, origin| {
        let text = format!("The annotation {PAUSE} is set in the cluster, never in Git.");
        Diagnostic::error("pause", text).at(origin).about(reference)
    };
    pausing.map(|(r, m)| error(r, m.object.origin_of("/metadata/annotations"))).collect()
}

/// Whether a stop is about a change; on the parents of others it is not looked for.
fn covers(stop: &Stop, change: &Change, desired: &Desired, live: &Live) -> bool {
    match &stop.scope {
        Scope::Environment | Scope::Tenant => true,
        Scope::App(app) => {
            // What is of it now, or becomes so.
            let wanted = desired.objects.get(&change.object).map(|m| &m.object.value);
            let of_app = |value: &Value| selection::is_of_app(&change.object, value, app);
            wanted.is_some_and(of_app) || live.get(&change.object).is_some_and(of_app)
        }
    }
}

fn hold(change: &mut Change, why: Reason) {
    if change.action.is_acting() {
        change.action = Action::Held;
    }
    change.because.push(why);
}
