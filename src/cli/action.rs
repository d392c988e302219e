//! `spinway action`: the steps of the GitHub Action (`action.yml`). They read what a runner gives in the environment, and
//! write to the files that it names; nothing is ever put into a script.

mod comment;
mod plan;
mod runner;

use super::failure::Failure;
use clap::{Args, Subcommand};

/// The steps of the GitHub Action; see docs/guides/action.md
#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    Plan(plan::Arguments),
    Comment(comment::Arguments),
}

/// Does a step.
pub(super) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    match arguments.step {
        Step::Plan(arguments) => plan::run(arguments).await,
        Step::Comment(arguments) => comment::run(arguments).await,
    }
}
