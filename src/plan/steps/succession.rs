//! Who takes over requests comes before who gives them up (laws 2 and 13): an order between routes that refer to nothing of each
//! other, told by the requests that they claim.

use super::{Edges, Sequencer, StepKind, extend};
use crate::kinds::each;
use crate::routing::{Attached, Claim, Claims, Target, attached, attached_beyond, beyond, claims, is_route};
use petgraph::stable_graph::NodeIndex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most rules that a route may have (Gateway API HTTPRouteSpec).
const MAX_RULES: usize = 16;

/// A route has fewer matches than that in all its rules (Gateway API HTTPRouteSpec).
const MAX_MATCHES: usize = 128;

/// The most hostnames that a route may have (Gateway API HTTPRouteSpec).
const MAX_HOSTNAMES: usize = 16;

fn matches_of(rule: &Value) -> Vec<String> {
    each(rule, "matches[]").into_iter().map(|(_, one)| one.to_string()).collect()
}

impl Sequencer<'_> {
    /// A route that gives up requests and takes others over, while other routes do too, does so in two steps: first it claims
    /// both, at last the new alone.
    pub(super) fn split_claims(&mut self) {
        let (mut both, mut led) = (Vec::new(), Vec::new());
        let mut lost = Claims::default();
        for (index, path) in self.paths.iter().enumerate().filter(|(_, path)| is_route(path.object)) {
            let of = |state: &Option<Value>| state.as_ref().map(|value| claims(path.object, value)).unwrap_or_default();
            let (Some(before), Some(after)) = (path.states.first().map(of), path.states.last().map(of)) else {
                continue;
            };
            let (gains, losses) = (beyond(&after, &before), beyond(&before, &after));
            if path.kinds == [StepKind::Set] && !gains.is_empty() && !losses.is_empty() {
                both.push((index, gains.iter().map(|claim| (*claim).clone()).collect::<Vec<Claim>>()));
            }
            led.extend(new_redirects(&before, &after).into_iter().map(|(_, target)| (index, target.clone())));
            losses.into_iter().for_each(|claim| lost.add(index, claim.clone()));
        }
        for (index, gains) in both {
            let loses = |claim: &Claim| lost.meeting(claim).any(|(other, _)| *other != index);
            // What another route's redirect leads to must be there before that one takes over what this one gives up.
            let is_led_to = |claim: &Claim| led.iter().any(|(of, target)| *of != index && target.is_met_by(claim));
            let takes = gains.iter().any(|claim| loses(claim) || is_led_to(claim));
            if takes && let Some(union) = self.union_of_claims(index) {
                self.insert(index, union, true);
            }
        }
    }

    /// A route that claims both what it claimed and what it will claim; none where it would claim more than that, or where it
    /// moves to other parents.
    fn union_of_claims(&self, index: usize) -> Option<Value> {
        let path = &self.paths[index];
        let [Some(before), Some(after)] = path.states.as_slice() else { return None };
        // As they are meant: the API server adds defaults to what was written.
        let (from, to) = (attached(path.object, before), attached(path.object, after));
        if !attached_beyond(&from, &to).is_empty() || !attached_beyond(&to, &from).is_empty() {
            return None;
        }
        let mut union = after.clone();
        let has_names = |value: &Value| !each(value, "spec.hostnames[]").is_empty();
        if has_names(before) != has_names(after) {
            return None;
        }
        extend(&mut union, before, "/spec/hostnames", &Value::clone);
        let rules = union.pointer_mut("/spec/rules").and_then(Value::as_array_mut)?;
        let known: BTreeSet<String> = rules.iter().flat_map(matches_of).collect();
        for rule in before.pointer("/spec/rules").and_then(Value::as_array)? {
            let mut rule = rule.clone();
            let left: Vec<Value> = each(&rule, "matches[]")
                .into_iter()
                .map(|(_, m)| m.clone())
                .filter(|m| !known.contains(&m.to_string()))
                .collect();
            if !left.is_empty() {
                rule["matches"] = Value::Array(left);
                // The name of a rule is unique.
                rule.as_object_mut()?.remove("name");
                rules.push(rule);
            }
        }
        let matches: usize = rules.iter().map(|rule| each(rule, "matches[]").len()).sum();
        let fits = rules.len() <= MAX_RULES && matches < MAX_MATCHES;
        let fits = fits && each(&union, "spec.hostnames[]").len() <= MAX_HOSTNAMES;
        // A path of the one state on a hostname of the other may be what neither serves.
        let (old, new) = (claims(path.object, before), claims(path.object, after));
        let is_claimed = |claim: &Claim| old.contains(claim) || new.contains(claim);
        (fits && claims(path.object, &union).iter().all(is_claimed)).then_some(union)
    }

    /// Who takes over requests comes before who gives them up, and what serves the target of a redirect before the redirect
    /// (laws 2 and 13). It is told by hostnames and paths alone: when in doubt, the one that gives up waits.
    pub(super) fn succession(&self, edges: &mut Edges, nodes: &BTreeMap<(usize, usize), NodeIndex>) {
        let (mut gained, mut lost, mut turned) = (Claims::default(), Claims::default(), Claims::default());
        let (mut redirects, mut left) = (Vec::new(), Vec::new());
        let mut ends: BTreeMap<usize, Vec<Claim>> = BTreeMap::new();
        for (index, path) in self.paths.iter().enumerate().filter(|(_, path)| is_route(path.object)) {
            let states: Vec<Vec<Claim>> = path
                .states
                .iter()
                .map(|state| state.as_ref().map(|value| claims(path.object, value)).unwrap_or_default())
                .collect();
            ends.insert(index, states.last().cloned().unwrap_or_default());
            for (step, pair) in states.windows(2).enumerate() {
                let [before, after] = pair else { continue };
                // Also where the requests stay and what answers them changes: it is not yet what is relied on.
                for claim in after.iter().filter(|claim| claim.is_served() && !before.contains(claim)) {
                    gained.add((index, step), claim.clone());
                }
                for claim in beyond(before, after).into_iter().filter(|claim| claim.is_served()) {
                    lost.add((index, step), claim.clone());
                }
                let led = new_redirects(before, after);
                led.iter().for_each(|(claim, _)| turned.add((index, step), (*claim).clone()));
                redirects.extend(led.into_iter().map(|(claim, target)| ((index, step), claim.clone(), target.clone())));
                let dropped = new_redirects(after, before);
                left.extend(dropped.into_iter().map(|(_, target)| ((index, step), target.clone())));
            }
        }
        let mut first = |taking: &(usize, usize), giving: &(usize, usize)| {
            if taking.0 != giving.0 {
                edges.add(nodes[taking], nodes[giving], true);
            }
        };
        for (giving, claim) in lost.all() {
            gained.meeting(claim).for_each(|(taking, _)| first(taking, giving));
        }
        // Where two routes give up the same requests, the one with the wider claim goes first: it would get those of the other.
        // Of two with the same claim the one that keeps them by a wider one goes last.
        let keeps = |route: usize, claim: &Claim| {
            ends.get(&route).is_some_and(|end| end.iter().any(|kept| kept.is_served() && kept.is_wider_than(claim)))
        };
        for (giving, claim) in lost.all() {
            let kept = keeps(giving.0, claim);
            let goes_first = |(by, other): &&((usize, usize), Claim)| {
                other.is_wider_than(claim) || kept && other.is_same(claim) && !keeps(by.0, other)
            };
            lost.meeting(claim).filter(goes_first).for_each(|(other, _)| first(other, giving));
        }
        // A redirect that goes is followed as long as it is there.
        for (leaving, target) in &left {
            lost.meeting_target(target).for_each(|(giving, _)| first(leaving, giving));
            // Where it leads, another redirect may lead back.
            turned.meeting_target(target).for_each(|(turning, _)| first(leaving, turning));
        }
        for (taking, giving) in self.taken_at_listeners() {
            first(&taking, &giving);
        }
        // What goes may win over what a redirect is to lead to, as long as it is there; unless it gives to that redirect itself.
        let by_route = |found: &'_ Claims<(usize, usize)>| {
            let mut all: BTreeMap<usize, Vec<Claim>> = BTreeMap::new();
            found.all().iter().for_each(|((route, _), claim)| all.entry(*route).or_default().push(claim.clone()));
            all
        };
        let (gains, losses) =
            if redirects.is_empty() { Default::default() } else { (by_route(&gained), by_route(&lost)) };
        let gives = |giving: usize, taking: usize| {
            let gained = gains.get(&taking).into_iter().flatten();
            gained.into_iter().any(|claim| losses.get(&giving).into_iter().flatten().any(|lost| lost.meets(claim)))
        };
        for (leading, _, target) in &redirects {
            let goes = lost.meeting_target(target).filter(|(by, _)| by.0 != leading.0 && !gives(by.0, leading.0));
            goes.for_each(|(by, _)| first(by, leading));
        }
        for (leading, redirect, target) in &redirects {
            let serves = gained.meeting_target(target).filter(|(_, claim)| !claim.lead_to_each_other(redirect));
            serves.for_each(|(serving, _)| first(serving, leading));
        }
    }

    /// Steps by which a route leaves a listener with claims that it keeps elsewhere, each after the steps by which another route
    /// comes to that listener with such claims: as when a redirect takes over the one without TLS.
    fn taken_at_listeners(&self) -> Vec<((usize, usize), (usize, usize))> {
        type At = ((usize, usize), Vec<Attached>);
        let (mut left, mut came): (Vec<(At, Vec<Claim>)>, Vec<At>) = (Vec::new(), Vec::new());
        let mut taken: Claims<usize> = Claims::default();
        for (index, path) in self.paths.iter().enumerate().filter(|(_, path)| is_route(path.object)) {
            let state = |value: &Option<Value>| {
                let value = value.as_ref();
                let claimed = value.map(|value| claims(path.object, value)).unwrap_or_default();
                (claimed, value.map(|value| attached(path.object, value)).unwrap_or_default())
            };
            let states: Vec<_> = path.states.iter().map(state).collect();
            for (step, pair) in states.windows(2).enumerate() {
                let [(old, from), (new, to)] = pair else { continue };
                let known = |claim: &Claim| old.iter().any(|old| old.is_same(claim));
                let lost = attached_beyond(from, to);
                let kept = new.iter().filter(|claim| claim.is_served() && known(claim)).cloned().collect();
                if !lost.is_empty() {
                    left.push((((index, step), lost), kept));
                }
                for claim in new.iter().filter(|claim| claim.is_served()) {
                    let gained = if known(claim) { attached_beyond(to, from) } else { to.clone() };
                    if !gained.is_empty() {
                        taken.add(came.len(), claim.clone());
                        came.push(((index, step), gained));
                    }
                }
            }
        }
        let mut found = Vec::new();
        for ((giving, lost), claims) in &left {
            for (place, _) in claims.iter().flat_map(|claim| taken.meeting(claim)) {
                let (taking, gained) = &came[*place];
                if lost.iter().any(|at| gained.iter().any(|to| to.overlaps(at))) {
                    found.push((*taking, *giving));
                }
            }
        }
        found
    }
}

/// The targets of redirects that a state of a route has and the other has not.
pub(in crate::plan) fn new_redirects<'a>(before: &[Claim], after: &'a [Claim]) -> Vec<(&'a Claim, &'a Target)> {
    let known = |claim: &Claim| before.iter().any(|old| old.is_same(claim) && old.redirect == claim.redirect);
    after.iter().filter(|claim| !known(claim)).filter_map(|claim| Some((claim, claim.redirect.as_deref()?))).collect()
}
