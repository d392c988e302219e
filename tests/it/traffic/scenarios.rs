//! What changes in a cell: the repository before, the repository of each turn, and who may answer meanwhile.
//!
//! Whether a gap is seen depends on when the controller looks, so changes that may be undone within the budget of deletions are
//! made and undone in one cell.

use super::load::Target;
use super::team::{Files, Team};

/// One way to change a repository.
pub struct Scenario {
    pub name: &'static str,
    pub story: fn(&Team) -> Story,
    /// Whether requests may fail: only where the plan says so.
    pub breaks: bool,
}

/// A scenario for a team.
pub struct Story {
    pub before: Files,
    pub turns: Vec<Files>,
    /// Whom the load asks all the time.
    pub targets: Vec<Target>,
    /// Who must be served at the end beside them.
    pub finally: Vec<Target>,
    /// The exit code of the last turn.
    pub code: i32,
}

/// All of them.
pub const SCENARIOS: [Scenario; 19] = [
    Scenario { name: "nothing changes", story: nothing, breaks: false },
    Scenario { name: "new image", story: new_image, breaks: false },
    Scenario { name: "new image, the Gateway is asked", story: asked, breaks: false },
    Scenario { name: "canary steps", story: canary, breaks: false },
    Scenario { name: "promote", story: promote, breaks: false },
    Scenario { name: "abort", story: abort, breaks: false },
    Scenario { name: "path to host", story: path_to_host, breaks: false },
    Scenario { name: "path move", story: path_move, breaks: false },
    Scenario { name: "nameless to named route", story: nameless_to_named, breaks: false },
    Scenario { name: "App rename", story: app_rename, breaks: false },
    Scenario { name: "SpinApp rename", story: spin_app_rename, breaks: false },
    Scenario { name: "route rename", story: route_rename, breaks: false },
    Scenario { name: "Service swap", story: service_swap, breaks: false },
    Scenario { name: "listener rename", story: listener_rename, breaks: false },
    Scenario { name: "gateway move", story: gateway_move, breaks: false },
    Scenario { name: "app delete", story: app_delete, breaks: false },
    Scenario { name: "redirect with its target", story: redirect, breaks: false },
    Scenario { name: "onFailure", story: on_failure, breaks: false },
    Scenario { name: "variable in place", story: in_place, breaks: true },
];

const GATEWAY: (&str, &str) = ("public", "http");

/// The repository of these files beside the Config and the platform.
pub fn files(team: &Team, more: &[(String, String)]) -> Files {
    [team.config(), team.platform(&[GATEWAY])].into_iter().chain(more.iter().cloned()).collect()
}

pub fn target(host: String, path: &str, images: &[String]) -> Target {
    Target { host, path: path.to_owned(), images: images.to_vec() }
}

/// A route of an App by path.
pub fn by_path(team: &Team, name: Option<&str>, path: &str) -> String {
    let name = name.map(|name| format!("name: {name}, ")).unwrap_or_default();
    format!("{{{name}gateway: public, hosts: [{}], path: {path}}}", team.host())
}

fn by_host(team: &Team) -> String {
    format!("{{name: by-host, gateway: public, hosts: [cart.{}]}}", team.host())
}

fn redirecting(team: &Team) -> String {
    format!("{{name: by-path, gateway: public, hosts: [{}], path: /cart, redirectTo: by-host}}", team.host())
}

/// A story of App `cart` at /cart, version a, and turns that give the rest of its spec.
fn of_cart(team: &Team, before: (char, &str), turns: &[(char, &str)]) -> Story {
    let state = |(digit, more): (char, &str)| {
        let app = team.app("cart", &team.image("cart", digit), &[by_path(team, None, "/cart")], more);
        files(team, &[app])
    };
    let images = ['a', 'b'].map(|digit| team.image("cart", digit));
    Story {
        before: state(before),
        turns: turns.iter().map(|turn| state(*turn)).collect(),
        targets: vec![target(team.host(), "/cart", &images)],
        finally: Vec::new(),
        code: 0,
    }
}

/// The App's field with a canary of version b.
fn canary_of(team: &Team, weight: u8) -> String {
    format!("  canary: {{image: {}, weight: {weight}}}\n", team.image("cart", 'b'))
}

fn nothing(team: &Team) -> Story {
    of_cart(team, ('a', ""), &[('a', "")])
}

fn new_image(team: &Team) -> Story {
    of_cart(team, ('a', ""), &[('b', "")])
}

/// The old version would stay for an hour if the Gateway did not answer with the mark of the new state.
fn asked(team: &Team) -> Story {
    let more = "  rollout: {settle: {for: 1h, probe: /}}\n";
    of_cart(team, ('a', more), &[('b', more)])
}

fn canary(team: &Team) -> Story {
    of_cart(team, ('a', ""), &[('a', &canary_of(team, 10)), ('a', &canary_of(team, 50))])
}

fn promote(team: &Team) -> Story {
    of_cart(team, ('a', &canary_of(team, 50)), &[('b', "")])
}

fn abort(team: &Team) -> Story {
    of_cart(team, ('a', &canary_of(team, 50)), &[('a', "")])
}

/// A story of App `cart`, version a, whose routes change.
fn of_routes(team: &Team, before: &[String], turns: &[&[String]], finally: Vec<Target>) -> Story {
    let image = team.image("cart", 'a');
    let state = |routes: &[String]| files(team, &[team.app("cart", &image, routes, "")]);
    Story {
        before: state(before),
        turns: turns.iter().map(|routes| state(routes)).collect(),
        targets: vec![target(team.host(), "/cart", std::slice::from_ref(&image))],
        finally,
        code: 0,
    }
}

fn path_to_host(team: &Team) -> Story {
    let named = by_path(team, Some("by-path"), "/cart");
    let finally = vec![target(format!("cart.{}", team.host()), "/", &[team.image("cart", 'a')])];
    of_routes(
        team,
        &[by_path(team, None, "/cart")],
        &[std::slice::from_ref(&named), &[named.clone(), by_host(team)], &[redirecting(team), by_host(team)]],
        finally,
    )
}

fn nameless_to_named(team: &Team) -> Story {
    let before = [by_path(team, None, "/cart")];
    let after = [by_path(team, Some("cart"), "/cart"), by_path(team, Some("basket"), "/basket")];
    of_routes(team, &before, &[&after, &before], Vec::new())
}

/// The host is one of a Gateway that is new, so that it is served later than the redirect could be.
fn redirect(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let state = |gateways: &[(&str, &str)], routes: &[String]| {
        [team.config(), team.platform(gateways), team.app("cart", &image, routes, "")].into_iter().collect()
    };
    let host = by_host(team).replace("public", "other");
    let before = state(&[GATEWAY], &[by_path(team, Some("by-path"), "/cart")]);
    let after = state(&[GATEWAY, ("other", "http")], &[redirecting(team), host]);
    let mut story = of_manifests(team, before, vec![after], std::slice::from_ref(&image));
    story.finally = vec![target(format!("cart.{}", team.host()), "/", &[image])];
    story
}

/// /pay goes from one App to another that is new.
fn path_move(team: &Team) -> Story {
    let (cart, pay) = (team.image("cart", 'a'), team.image("pay", 'c'));
    let route = |path: &str| by_path(team, Some(path.trim_start_matches('/')), path);
    Story {
        before: files(team, &[team.app("cart", &cart, &[route("/cart"), route("/pay")], "")]),
        turns: vec![files(
            team,
            &[
                team.app("cart", &cart, &[route("/cart")], ""),
                team.app("pay", &pay, &[by_path(team, None, "/pay")], ""),
            ],
        )],
        targets: vec![
            target(team.host(), "/cart", std::slice::from_ref(&cart)),
            target(team.host(), "/pay", &[cart.clone(), pay.clone()]),
        ],
        finally: vec![target(team.host(), "/pay", &[pay])],
        code: 0,
    }
}

fn app_rename(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let named = |name: &str| files(team, &[team.app(name, &image, &[by_path(team, None, "/cart")], "")]);
    Story {
        before: named("cart"),
        turns: vec![named("basket")],
        targets: vec![target(team.host(), "/cart", std::slice::from_ref(&image))],
        finally: Vec::new(),
        code: 0,
    }
}

/// A story of plain manifests: a route by path to a backend, and the objects that make the backend.
fn of_manifests(team: &Team, before: Files, turns: Vec<Files>, images: &[String]) -> Story {
    Story { before, turns, targets: vec![target(team.host(), "/cart", images)], finally: Vec::new(), code: 0 }
}

const PARENT: &str = "{name: public}";

fn spin_app_rename(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let named = |name: &str| files(team, &[team.spin_app(name, &image), team.route("cart", PARENT, "/cart", name)]);
    of_manifests(team, named("cart"), vec![named("basket"), named("cart")], std::slice::from_ref(&image))
}

fn route_rename(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let named = |name: &str| files(team, &[team.spin_app("cart", &image), team.route(name, PARENT, "/cart", "cart")]);
    of_manifests(team, named("cart"), vec![named("by-path"), named("cart")], std::slice::from_ref(&image))
}

fn service_swap(team: &Team) -> Story {
    let images = ['a', 'b'].map(|digit| team.image("cart", digit));
    let of = |name: &str, image: &str| {
        files(team, &[team.deployment(name, image), team.route("cart", PARENT, "/cart", name)])
    };
    of_manifests(team, of("a", &images[0]), vec![of("b", &images[1])], &images)
}

fn listener_rename(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let named = |section: &str| {
        let parent = format!("{{name: public, sectionName: {section}}}");
        let more = [team.spin_app("cart", &image), team.route("cart", &parent, "/cart", "cart")];
        [team.config(), team.platform(&[("public", section)])].into_iter().chain(more).collect()
    };
    of_manifests(team, named("http"), vec![named("web"), named("http")], std::slice::from_ref(&image))
}

/// The old Gateway stays: its deletion would need an approval.
fn gateway_move(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let state = |gateways: &[(&str, &str)], parent: &str| {
        let more = [team.spin_app("cart", &image), team.route("cart", parent, "/cart", "cart")];
        [team.config(), team.platform(gateways)].into_iter().chain(more).collect()
    };
    let both = [GATEWAY, ("other", "http")];
    let turns = vec![state(&both, "{name: other}"), state(&both, PARENT)];
    of_manifests(team, state(&[GATEWAY], PARENT), turns, std::slice::from_ref(&image))
}

/// The requests are those of another app.
fn app_delete(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let cart = team.app("cart", &image, &[by_path(team, None, "/cart")], "");
    let pay = team.app("pay", &team.image("pay", 'c'), &[by_path(team, None, "/pay")], "");
    Story {
        before: files(team, &[cart.clone(), pay]),
        turns: vec![files(team, &[cart])],
        targets: vec![target(team.host(), "/cart", &[image])],
        finally: Vec::new(),
        code: 0,
    }
}

/// A version that crashes.
fn on_failure(team: &Team) -> Story {
    let image = team.image("cart", 'a');
    let state = |image: &str| {
        let more = "  rollout: {onFailure: rollback}\n";
        files(team, &[team.app("cart", image, &[by_path(team, None, "/cart")], more)])
    };
    Story {
        before: state(&image),
        turns: vec![state(&team.image("cart-crash", 'b'))],
        targets: vec![target(team.host(), "/cart", &[image])],
        finally: Vec::new(),
        code: 1,
    }
}

/// The pods are replaced, as the operator does it.
fn in_place(team: &Team) -> Story {
    of_cart(team, ('a', "  variables: {greeting: hello}\n"), &[('a', "  variables: {greeting: welcome}\n")])
}
