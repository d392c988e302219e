//! Which cells are run: each value of each factor meets each value of each other one.

use super::cell::Cell;
use super::scenarios::SCENARIOS;
use super::traefik::Lane;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use std::collections::HashSet;

/// The full campaign has at least so many.
const CELLS: usize = 40;
/// The sample of CI: scenario, seconds that pods serve on, slow writes, churn, throttle.
const SAMPLE: [(&str, u64, bool, bool, u64); 8] = [
    ("new image", 0, false, true, 2),
    ("promote", 5, true, false, 6),
    ("path move", 5, false, false, 2),
    ("nameless to named route", 0, true, false, 2),
    ("App rename", 0, false, false, 2),
    ("SpinApp rename", 0, true, true, 6),
    ("new image, the Gateway is asked", 0, true, false, 6),
    ("redirect with its target", 5, false, false, 2),
];

/// All combinations, in an order that the seed decides.
fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for scenario in 0..SCENARIOS.len() {
        let bit = |number: u32, bit: u32| number & bit != 0;
        cells.extend((0..16).map(|number| Cell {
            scenario,
            end: if bit(number, 1) { 5 } else { 0 },
            slow: bit(number, 2),
            lane: Lane { throttle: if bit(number, 4) { 6 } else { 2 }, churn: bit(number, 8) },
        }));
    }
    cells.shuffle(&mut rand::rngs::StdRng::seed_from_u64(12));
    cells
}

/// The pairs of values in a cell, each with its factors.
fn pairs(cell: &Cell) -> Vec<(usize, u64, usize, u64)> {
    let (slow, churn) = (u64::from(cell.slow), u64::from(cell.lane.churn));
    let values = [cell.scenario as u64, cell.end, slow, churn, cell.lane.throttle];
    let mut pairs = Vec::new();
    for first in 0..values.len() {
        pairs.extend((first + 1..values.len()).map(|second| (first, values[first], second, values[second])));
    }
    pairs
}

/// The cover: cells that bring the most new pairs first, and more of them until they are enough.
pub fn cover() -> Vec<Cell> {
    let mut left = all();
    let mut open: HashSet<_> = left.iter().flat_map(pairs).collect();
    let mut chosen = Vec::new();
    while !open.is_empty() || chosen.len() < CELLS {
        let gain = |cell: &Cell| pairs(cell).iter().filter(|pair| open.contains(pair)).count();
        let best = (0..left.len()).max_by_key(|at| (gain(&left[*at]), usize::MAX - at)).expect("a cell");
        let cell = left.remove(best);
        open.retain(|pair| !pairs(&cell).contains(pair));
        chosen.push(cell);
    }
    chosen
}

/// The sample of CI.
pub fn sample() -> Vec<Cell> {
    let of = |(name, end, slow, churn, throttle): (&str, u64, bool, bool, u64)| {
        let scenario = SCENARIOS.iter().position(|scenario| scenario.name == name).expect("a scenario");
        Cell { scenario, end, slow, lane: Lane { throttle, churn } }
    };
    SAMPLE.map(of).to_vec()
}
