//! The commands: one file per command, with its arguments and what it does.
//!
//! [`workspace`] opens what a command works on, [`decision_view`] describes decisions, and [`output`] prints a result.

pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod backtest;
pub(crate) mod check;
pub(crate) mod compare;
mod csv_args;
mod decision_view;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod forget;
pub(crate) mod freeze;
pub(crate) mod history;
pub(crate) mod import_model;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod list;
mod live_versions;
mod model_versions;
pub(crate) mod output;
mod past_decisions;
pub(crate) mod policy;
pub(crate) mod replay;
pub(crate) mod review;
mod rollback;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod shadow;
pub(crate) mod show;
pub(crate) mod simulate;
pub(crate) mod subject;
mod time_arg;
pub(crate) mod train;
mod unmatched_labels;
pub(crate) mod velocity;
pub(crate) mod webhooks;
pub(crate) mod workspace;

/// Any error of a command, as a sentence for the person at the terminal.
pub type CommandError = Box<dyn std::error::Error>;
