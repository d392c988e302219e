//! The command line: one file per verb, each its arguments and its wiring.

mod action;
mod agent;
mod apply;
mod approve;
mod check;
mod common;
mod drift;
mod failure;
mod graph;
mod history;
mod inspect;
mod install;
mod new;
mod people;
mod pin;
mod plan;
mod progress;
mod render;
mod rollback;
mod schema;
mod signals;
mod snapshot;
mod status;
mod suspend;
mod ui;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Reconcile a Git repository of Spin apps and Gateway API objects onto a Kubernetes cluster.
///
/// Exit codes: 0 done; 1 something failed; 2 differences exist (with --exit-code); 3 refused as a whole, nothing was
/// done; 4 another apply or agent writes; 64 usage; 130 or 143 interrupted (the agent: 0).
///
/// SPINWAY_LOG=spinway=debug shows every request on standard error. What is known of the cluster's types is kept in
/// SPINWAY_CACHE (default: spinway in the user's cache folder; empty: nowhere).
#[derive(Parser)]
#[command(name = "spinway", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Plan(plan::Arguments),
    Apply(apply::Arguments),
    Drift(drift::Arguments),
    Status(status::Arguments),
    Check(check::Arguments),
    Pin(pin::Arguments),
    Graph(graph::Arguments),
    Render(render::Arguments),
    Schema(schema::Arguments),
    Snapshot(snapshot::Arguments),
    Agent(Box<agent::Arguments>),
    Install(install::Arguments),
    New(new::Arguments),
    History(history::Arguments),
    Rollback(rollback::Arguments),
    Suspend(suspend::Suspend),
    Resume(suspend::Resume),
    Approve(approve::Arguments),
    Action(action::Arguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let parsed = command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are data; everything else is a usage error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { failure::USAGE } else { 0 });
        }
    };
    // Both the API server and Git servers are talked to by rustls, with one provider; there is none before it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ui::log(matches!(arguments.verb, Verb::Agent(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            anstream::eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(arguments.verb)).unwrap_or_else(|failure: Failure| failure.print());
    // A request that never answers must not hold the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Plan(arguments) => plan::run(arguments).await,
        Verb::Apply(arguments) => apply::run(arguments).await,
        Verb::Drift(arguments) => drift::run(arguments).await,
        Verb::Status(arguments) => status::run(arguments).await,
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Pin(arguments) => pin::run(arguments).await,
        Verb::Graph(arguments) => graph::run(&arguments),
        Verb::Render(arguments) => render::run(&arguments),
        Verb::Schema(arguments) => schema::run(&arguments),
        Verb::Snapshot(arguments) => snapshot::run(arguments).await,
        Verb::Agent(arguments) => agent::run(*arguments).await,
        Verb::Install(arguments) => install::run(&arguments),
        Verb::New(arguments) => new::run(arguments),
        Verb::History(arguments) => history::run(arguments).await,
        Verb::Rollback(arguments) => rollback::run(arguments).await,
        Verb::Suspend(arguments) => suspend::suspend(arguments).await,
        Verb::Resume(arguments) => suspend::resume(arguments).await,
        Verb::Approve(arguments) => approve::run(arguments).await,
        Verb::Action(arguments) => action::run(arguments).await,
    }
}

/// The command; the values of environment variables are no part of its help.
fn command() -> clap::Command {
    Arguments::command().mut_subcommands(plain)
}

fn plain(verb: clap::Command) -> clap::Command {
    verb.mut_args(plain_environment).mut_subcommands(plain)
}

/// Values of environment variables are no part of the help; an empty variable is as good as none, as in CI inputs.
fn plain_environment(argument: clap::Arg) -> clap::Arg {
    let argument = argument.hide_env_values(true);
    let empty = argument.get_env().is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
    let switch = matches!(argument.get_action(), clap::ArgAction::SetTrue) && argument.get_env().is_some();
    let argument = if switch { argument.value_parser(clap::builder::FalseyValueParser::new()) } else { argument };
    if empty { argument.env(None) } else { argument }
}

/// The command line as Markdown, for `docs/reference/cli.md`.
pub fn reference() -> String {
    let mut out =
        String::from("# The command line\n\nGenerated from the program; `cargo test` checks that it is current.\n");
    let mut command = command().term_width(100);
    command.build();
    out.push_str(&format!("\n## spinway\n\n```\n{}```\n", command.render_long_help()));
    for verb in command.get_subcommands_mut() {
        let name = verb.get_name().to_owned();
        out.push_str(&format!("\n## spinway {name}\n\n```\n{}```\n", verb.render_long_help()));
        // `help` has a part for each verb.
        for part in verb.get_subcommands_mut().filter(|part| name != "help" && part.get_name() != "help") {
            let part_name = part.get_name().to_owned();
            out.push_str(&format!("\n## spinway {name} {part_name}\n\n```\n{}```\n", part.render_long_help()));
        }
    }
    out
}
