//! The page that says what was measured: `docs/reference/traffic.md`.

use super::campaign::Kept;
use super::cell::{Cell, Tool};
use super::load::RATE;
use super::scenarios::SCENARIOS;
use super::traefik;
use std::fmt::Write as _;
use std::path::Path;

/// Writes the page with `SPINWAY_REGENERATE=1`; its figures are those of the last campaign that was written down.
pub fn check(kept: &[Kept], cells: &[Cell]) {
    let page = page(kept, cells);
    if std::env::var_os("SPINWAY_REGENERATE").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/traffic.md");
        std::fs::write(file, page).expect("the page can be written");
    } else {
        println!("{page}");
    }
}

fn page(kept: &[Kept], cells: &[Cell]) -> String {
    let mut page = format!(
        "# Requests during changes\n\n\
         Written by `SPINWAY_REGENERATE=1 SPINWAY_CAMPAIGN=full cargo test --test it traffic::` ({} cells). Each cell applies one\n\
         change while clients send {RATE} requests per second through the Gateway, half of them on new connections, without retries.\n\
         A request fails when no expected version answers it with a 2xx status within 5 seconds. Redirects are followed.\n\n\
         | Change | Cells | Requests | Failed | Failed with kubectl |\n|---|---|---|---|---|\n",
        cells.len()
    );
    for scenario in &SCENARIOS {
        let of = |tool: Tool| kept.iter().filter(move |k| k.scenario == scenario.name && k.tool == tool);
        let sum = |tool: Tool, field: fn(&Kept) -> u64| of(tool).map(field).sum::<u64>();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} of {} |",
            scenario.name,
            of(Tool::Spinway).count(),
            sum(Tool::Spinway, |k| k.requests),
            sum(Tool::Spinway, |k| k.failed),
            sum(Tool::Kubectl, |k| k.failed),
            sum(Tool::Kubectl, |k| k.requests),
        );
    }
    let _ = write!(
        page,
        "\nThe cells cover each pair of: the change; pods that end at once or 5 seconds after they are deleted; another team whose\n\
         route changes every 250 ms, or none; an API server that holds writes up for 50 to 900 ms, as admission webhooks do, or not; a controller that sends a configuration to its proxy at most every 2 or every 6\n\
         seconds (2 is its default; for 6 the environment says `settle: 10s`). \"variable in place\" may lose requests: its plan says so. \"kubectl\" runs `kubectl apply` with the objects of the new state, then `kubectl delete` with those that are gone.\n\n\
         Real: kube-apiserver and kube-controller-manager 1.36.3, etcd 3.6, Traefik {} as Gateway controller and proxy. Stand-ins: the\n\
         Spin operator and the kubelet, with the timing measured of the real operator; a pod is an HTTP server that needs 1 second\n\
         to start and 15 ms for each answer. `tests/it/traffic/operator.rs` and `kubelet.rs` list the differences.\n",
        traefik::VERSION
    );
    page
}
