//! How long Gateway controllers take from a change of a route to requests that follow it. No condition tells it: a route is
//! accepted before the proxy knows of it.

/// A controller, how long it was seen to take, and how long a step rests for it, in seconds.
const MEASURED: [(&str, f64, f64); 1] = [
    // Traefik 3.7.15 with 90 requests a second and another team's changes every 250 ms: docs/reference/traffic.md.
    ("traefik.io/gateway-controller", 4.4, 6.0),
];

/// For a controller that was not measured.
const OTHERS: f64 = 5.0;

/// For how many seconds a step rests before it takes away what served requests, by the names of the controllers in use: the
/// longest of theirs.
pub fn lag_of_controllers<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    let known = |name: &str| MEASURED.iter().find(|(known, ..)| *known == name).map_or(OTHERS, |(.., rest)| *rest);
    names.map(known).fold(OTHERS, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_rests_longer_than_the_slowest_controller_was_seen_to_take() {
        assert!(MEASURED.iter().all(|(_, lag, rest)| rest > lag));
        assert_eq!(lag_of_controllers(["x.example/c", "traefik.io/gateway-controller"].into_iter()), 6.0);
        assert_eq!(lag_of_controllers(std::iter::empty()), OTHERS);
    }
}
