//! The figures as text, JSON and Markdown.

use crate::Arguments;
use crate::checking;
use crate::control_plane::tests_dir;
use crate::growth;
use crate::limits;
use crate::scenario::{Row, Size, limit};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;

const BEGIN: &str = "<!-- figures: written by `cargo bench --bench reconcile` -->";
const END: &str = "<!-- end of figures -->";
const CHECK_BEGIN: &str = "<!-- check: written by `cargo bench --bench reconcile -- --check-only` -->";
const CHECK_END: &str = "<!-- end of check -->";
const GROWTH_BEGIN: &str = "<!-- growth: written by `cargo bench --bench reconcile -- --check-only` -->";
const GROWTH_END: &str = "<!-- end of growth -->";
const LIMITS_BEGIN: &str = "<!-- limits: written by `cargo bench --bench reconcile -- --check-only` -->";
const LIMITS_END: &str = "<!-- end of limits -->";

/// The wall time over that of its floor.
fn ratio(size: &Size, row: &Row) -> Option<f64> {
    let floor = size.rows.iter().find(|r| Some(r.name) == row.floor)?;
    Some(row.cost.wall / floor.cost.wall)
}

fn requests(row: &Row) -> String {
    let all = row.requests.as_object().into_iter().flatten();
    all.map(|(verb, count)| format!("{count} {verb}")).collect::<Vec<_>>().join(", ")
}

/// The limit of a row, and whether it is kept.
fn limits(size: &Size, row: &Row) -> String {
    let Some(limit) = limit(row.name, size.objects) else { return String::new() };
    let kept = row.cost.peak <= limit.peak && row.cost.wall <= limit.wall;
    let text = format!("{:.0} s, {:.0} MiB", limit.wall, limit.peak);
    if kept { text } else { format!("{text}: exceeded") }
}

fn cells(size: &Size, row: &Row) -> [String; 8] {
    let server = row.cost.server;
    [
        row.name.to_owned(),
        format!("{:.2}", row.cost.wall),
        format!("{:.2}", row.cost.cpu),
        format!("{server:.2}"),
        format!("{:.0}", row.cost.peak),
        ratio(size, row).map(|r| format!("{r:.2}")).unwrap_or_default(),
        limits(size, row),
        requests(row),
    ]
}

const HEAD: [&str; 8] = ["what", "wall s", "CPU s", "server CPU s", "peak MiB", "x floor", "limit", "requests"];

/// One size, for a terminal.
pub fn text(size: &Size) -> String {
    let mut out = format!("\n{} objects ({} apps)\n", size.objects, size.apps);
    let rows: Vec<[String; 8]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(size.rows.iter().map(|r| cells(size, r))).collect();
    for row in rows {
        let [name, wall, cpu, server, peak, ratio, limit, requests] = row;
        let _ = writeln!(out, "{name:30} {wall:>7} {cpu:>7} {server:>12} {peak:>8} {ratio:>7} {limit:>14}  {requests}");
    }
    out
}

/// Everything, with date, machine and seed.
pub fn json(sizes: &[Size], arguments: &Arguments) -> Value {
    let sizes: Vec<Value> = sizes
        .iter()
        .map(|size| {
            let rows: Vec<Value> = size
                .rows
                .iter()
                .map(|row| {
                    json!({
                        "name": row.name, "wall": row.cost.wall, "cpu": row.cost.cpu, "server": row.cost.server, "peak": row.cost.peak,
                        "limit": limits(size, row), "requests": row.requests, "seconds": row.seconds, "floor": row.floor, "ratio": ratio(size, row),
                    })
                })
                .collect();
            json!({"objects": size.objects, "apps": size.apps, "rows": rows})
        })
        .collect();
    json!({"date": date(), "machine": machine(), "seed": arguments.seed, "runs": arguments.runs, "sizes": sizes})
}

/// Replaces what stands between two marks of `docs/reference/benchmarks.md`; the words around them stay.
fn replace(begin: &str, end: &str, figures: &str) {
    let path = tests_dir().join("../docs/reference/benchmarks.md");
    let old = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = old.split_once(begin).expect("the page marks where its figures begin");
    let (_, after) = rest.split_once(end).expect("the page marks where its figures end");
    fs::write(path, format!("{before}{begin}\n{figures}{end}{after}")).expect("the page can be written");
}

const CHECK_HEAD: [&str; 5] = ["what", "objects", "wall s", "CPU s", "peak MiB"];

fn check_cells(row: &checking::Row) -> [String; 5] {
    let cost = &row.cost;
    let number = |value: f64| format!("{value:.2}");
    [row.name.to_owned(), row.objects.to_string(), number(cost.wall), number(cost.cpu), format!("{:.0}", cost.peak)]
}

/// What checks cost, for a terminal.
pub fn check_text(rows: &[checking::Row]) -> String {
    let mut out = String::new();
    for row in std::iter::once(CHECK_HEAD.map(str::to_owned)).chain(rows.iter().map(check_cells)) {
        let [name, objects, wall, cpu, peak] = row;
        let _ = writeln!(out, "{name:36} {objects:>8} {wall:>7} {cpu:>7} {peak:>8}");
    }
    out
}

/// Puts what checks cost into `docs/reference/benchmarks.md`.
pub fn write_check_docs(rows: &[checking::Row], arguments: &Arguments) {
    let mut figures = format!("{}, {}, median of {} runs.\n\n", date(), processor(), arguments.runs);
    let _ = writeln!(figures, "| {} |\n|---|{}", CHECK_HEAD.join(" | "), "---:|".repeat(4));
    for row in rows {
        let _ = writeln!(figures, "| {} |", check_cells(row).join(" | "));
    }
    replace(CHECK_BEGIN, CHECK_END, &figures);
}

const LIMITS_HEAD: [&str; 4] = ["more than the limit of", "wall s", "CPU s", "peak MiB"];

fn limits_cells(row: &limits::Row) -> [String; 4] {
    let number = |value: f64| format!("{value:.2}");
    [row.name.to_owned(), number(row.cost.wall), number(row.cost.cpu), format!("{:.0}", row.cost.peak)]
}

/// What tenants beyond their limits cost, for a terminal.
pub fn limits_text(rows: &[limits::Row]) -> String {
    let mut out = String::new();
    for row in std::iter::once(LIMITS_HEAD.map(str::to_owned)).chain(rows.iter().map(limits_cells)) {
        let [name, wall, cpu, peak] = row;
        let _ = writeln!(out, "{name:40} {wall:>7} {cpu:>7} {peak:>8}");
    }
    out
}

/// Puts what tenants beyond their limits cost into `docs/reference/benchmarks.md`.
pub fn write_limits_docs(rows: &[limits::Row]) {
    let mut figures = format!(
        "{}, {}, one run each; at most {} s and {} MiB are allowed.\n\n",
        date(),
        processor(),
        limits::SECONDS,
        limits::MEMORY
    );
    let _ = writeln!(figures, "| {} |\n|---|{}", LIMITS_HEAD.join(" | "), "---:|".repeat(3));
    for row in rows {
        let _ = writeln!(figures, "| {} |", limits_cells(row).join(" | "));
    }
    replace(LIMITS_BEGIN, LIMITS_END, &figures);
}

const GROWTH_HEAD: [&str; 6] = ["input", "count", "CPU s", "twice: CPU s", "ratio", "peak MiB"];

fn growth_cells(row: &growth::Row) -> [String; 6] {
    let number = |value: f64| format!("{value:.2}");
    [
        row.name.to_owned(),
        row.count.to_string(),
        number(row.small.cpu),
        number(row.large.cpu),
        number(row.ratio()),
        format!("{:.0}", row.large.peak),
    ]
}

/// How checks grow, for a terminal.
pub fn growth_text(rows: &[growth::Row]) -> String {
    let mut out = String::new();
    for row in std::iter::once(GROWTH_HEAD.map(str::to_owned)).chain(rows.iter().map(growth_cells)) {
        let [name, count, small, large, ratio, peak] = row;
        let _ = writeln!(out, "{name:40} {count:>8} {small:>7} {large:>12} {ratio:>7} {peak:>8}");
    }
    out
}

/// Puts how checks grow into `docs/reference/benchmarks.md`.
pub fn write_growth_docs(rows: &[growth::Row], arguments: &Arguments) {
    let mut figures = format!(
        "{}, {}, the least of {} runs; a ratio is to stay below {}.\n\n",
        date(),
        processor(),
        arguments.runs.clamp(1, 3),
        growth::LIMIT
    );
    let _ = writeln!(figures, "| {} |\n|---|{}", GROWTH_HEAD.join(" | "), "---:|".repeat(5));
    for row in rows {
        let _ = writeln!(figures, "| {} |", growth_cells(row).join(" | "));
    }
    replace(GROWTH_BEGIN, GROWTH_END, &figures);
}

/// Puts the figures into `docs/reference/benchmarks.md`.
pub fn write_docs(sizes: &[Size], arguments: &Arguments) {
    let mut figures =
        format!("{}, {}, seed {}, median of {} runs.\n", date(), machine(), arguments.seed, arguments.runs);
    for size in sizes {
        let _ = write!(
            figures,
            "\n### {} objects ({} apps)\n\n| {} |\n|---|{}\n",
            size.objects,
            size.apps,
            HEAD.join(" | "),
            "---:|".repeat(5) + "---|---|"
        );
        for row in &size.rows {
            let _ = writeln!(figures, "| {} |", cells(size, row).join(" | "));
        }
    }
    figures.push_str(&growth(sizes));
    replace(BEGIN, END, &figures);
}

/// What an object costs at each size.
fn growth(sizes: &[Size]) -> String {
    let mut out = String::from(
        "\n### Growth\n\n| objects | read, µs an object | plan, µs an object | apply, µs an object | first apply, µs an object |\n|---:|---:|---:|---:|---:|\n",
    );
    for size in sizes {
        let each = |name: &str| {
            let row = size.rows.iter().find(|row| row.name == name);
            row.map_or(0.0, |row| row.cost.wall * 1e6 / size.objects as f64)
        };
        let names = ["read the repository", "plan, nothing to do", "apply, nothing to do", "first apply"];
        let cells: Vec<String> = names.iter().map(|name| format!("{:.0}", each(name))).collect();
        let _ = writeln!(out, "| {} | {} |", size.objects, cells.join(" | "));
    }
    out
}

fn date() -> String {
    jiff::Timestamp::now().to_string().chars().take(10).collect()
}

fn machine() -> String {
    format!("{}, kube-apiserver 1.36.3 and etcd on the same machine", processor())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} cores ({model})")
}
