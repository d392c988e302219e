//! The figures as text, JSON and Markdown.

use crate::Arguments;
use crate::control_plane::tests_dir;
use crate::scenario::{Row, Size};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;

const BEGIN: &str = "<!-- figures: written by `cargo bench --bench reconcile` -->";
const END: &str = "<!-- end of figures -->";

/// The wall time over that of its floor.
fn ratio(size: &Size, row: &Row) -> Option<f64> {
    let floor = size.rows.iter().find(|r| Some(r.name) == row.floor)?;
    Some(row.cost.wall / floor.cost.wall)
}

fn requests(row: &Row) -> String {
    let all = row.requests.as_object().into_iter().flatten();
    all.map(|(verb, count)| format!("{count} {verb}")).collect::<Vec<_>>().join(", ")
}

fn cells(size: &Size, row: &Row) -> [String; 7] {
    let server = row.cost.server;
    [
        row.name.to_owned(),
        format!("{:.2}", row.cost.wall),
        format!("{:.2}", row.cost.cpu),
        format!("{server:.2}"),
        format!("{:.0}", row.cost.peak),
        ratio(size, row).map(|r| format!("{r:.2}")).unwrap_or_default(),
        requests(row),
    ]
}

const HEAD: [&str; 7] = ["what", "wall s", "CPU s", "server CPU s", "peak MiB", "x floor", "requests"];

/// One size, for a terminal.
pub fn text(size: &Size) -> String {
    let mut out = format!("\n{} objects ({} apps)\n", size.objects, size.apps);
    let rows: Vec<[String; 7]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(size.rows.iter().map(|r| cells(size, r))).collect();
    for row in rows {
        let [name, wall, cpu, server, peak, ratio, requests] = row;
        let _ = writeln!(out, "{name:30} {wall:>7} {cpu:>7} {server:>12} {peak:>8} {ratio:>7}  {requests}");
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
                        "requests": row.requests, "seconds": row.seconds, "floor": row.floor, "ratio": ratio(size, row),
                    })
                })
                .collect();
            json!({"objects": size.objects, "apps": size.apps, "rows": rows})
        })
        .collect();
    json!({"date": date(), "machine": machine(), "seed": arguments.seed, "runs": arguments.runs, "sizes": sizes})
}

/// Puts the figures into `docs/reference/benchmarks.md`; the words around them stay.
pub fn write_docs(sizes: &[Size], arguments: &Arguments) {
    let path = tests_dir().join("../docs/reference/benchmarks.md");
    let old = fs::read_to_string(&path).unwrap_or_else(|_| format!("# Benchmarks\n\n{BEGIN}\n{END}\n"));
    let (before, rest) = old.split_once(BEGIN).expect("the page marks where its figures begin");
    let (_, after) = rest.split_once(END).expect("the page marks where its figures end");
    let mut figures =
        format!("{}, {}, seed {}, median of {} runs.\n", date(), machine(), arguments.seed, arguments.runs);
    for size in sizes {
        let _ = write!(
            figures,
            "\n### {} objects ({} apps)\n\n| {} |\n|---|{}\n",
            size.objects,
            size.apps,
            HEAD.join(" | "),
            "---:|".repeat(5) + "---|"
        );
        for row in &size.rows {
            let _ = writeln!(figures, "| {} |", cells(size, row).join(" | "));
        }
    }
    figures.push_str(&growth(sizes));
    fs::write(path, format!("{before}{BEGIN}\n{figures}{END}{after}")).expect("the page can be written");
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
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} cores ({model}), kube-apiserver 1.36.3 and etcd on the same machine")
}
