//! `fraudstream review`: what people do with the orders that wait for them.

mod bulk;
mod case;
mod desk;
mod listing;
mod practice;
mod recheck;
mod related;
mod settle;
mod stats;

use clap::{Args, Subcommand};
use shared::reviews::{CaseText, PersonName};

use super::CommandError;
use super::workspace::WorkspaceArgs;

/// The arguments of `review`.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    #[command(subcommand)]
    action: ReviewAction,
}

#[derive(Debug, Subcommand)]
enum ReviewAction {
    /// List what waits for a verdict, the largest expected loss first.
    #[command(
        after_help = "Examples:\n  fraudstream review list\n  fraudstream review list --by time --limit 10 --json"
    )]
    List(listing::ListArgs),
    /// Claim the most urgent case that nobody works on, and show it.
    #[command(after_help = "Example:\n  fraudstream review next --as ana")]
    Next(listing::NextArgs),
    /// Show an order with its case: why it waits, what was done, and related orders.
    #[command(after_help = "Example:\n  fraudstream review show ORD-000123")]
    Show(case::ShowArgs),
    /// Work on a case: nobody else can decide it meanwhile. Again: work on longer.
    #[command(after_help = "Example:\n  fraudstream review claim ORD-000123 --as ana")]
    Claim(case::StepArgs),
    /// Stop working on a case without a verdict.
    #[command(after_help = "Example:\n  fraudstream review release ORD-000123 --as ana")]
    Release(case::StepArgs),
    /// Write something down, on an open or a closed case.
    #[command(
        after_help = "Example:\n  fraudstream review note ORD-000123 --as ana --text \"the customer was called\""
    )]
    Note(case::NoteArgs),
    /// Approve orders, which gives them a new outcome and a label.
    #[command(
        after_help = "Examples:\n  fraudstream review approve ORD-000123 --as ana --reason \"known customer\"\n  fraudstream review approve ORD-000123 ORD-000124 --as ana --reason \"one customer\" --yes"
    )]
    Approve(bulk::VerdictArgs),
    /// Block orders, which gives them a new outcome and a label.
    #[command(
        after_help = "Examples:\n  fraudstream review block ORD-000123 --as ana --reason \"stolen card\"\n  fraudstream review block ORD-000123 --ring --as ana --reason \"reshipping ring\" --yes"
    )]
    Block(bulk::VerdictArgs),
    /// Ask somebody else to decide a case that you work on.
    #[command(
        after_help = "Example:\n  fraudstream review escalate ORD-000123 --as ana --reason \"above my limit\""
    )]
    Escalate(case::ReasonArgs),
    /// Say that a decision is wrong, such as for a blocked customer: it waits for a verdict (again).
    #[command(
        after_help = "Example:\n  fraudstream review appeal ORD-000123 --as cleo --reason \"the customer called\""
    )]
    Appeal(case::ReasonArgs),
    /// List the orders that share a card, a device, an address or the customer with an order.
    #[command(
        after_help = "Examples:\n  fraudstream review related ORD-000123\n  fraudstream review related ORD-000123 --all --json"
    )]
    Related(related::RelatedArgs),
    /// Close what waited too long, and what people cannot decide in a day; for a scheduler.
    #[command(
        after_help = "Examples:\n  fraudstream review settle --dry-run\n  fraudstream --aws review settle --json"
    )]
    Settle(settle::SettleArgs),
    /// Take the open reviews of a release before queues into the queues; once, after the upgrade.
    #[command(after_help = "Example:\n  fraudstream --aws review adopt --days 60")]
    Adopt(settle::AdoptArgs),
    /// Count what waits, and the verdicts of a day.
    #[command(
        after_help = "Examples:\n  fraudstream review stats\n  fraudstream review stats --day 2026-06-30 --json"
    )]
    Stats(stats::StatsArgs),
    /// List the verdicts that a second person gives again, or give one.
    #[command(
        after_help = "Examples:\n  fraudstream review recheck\n  fraudstream review recheck ORD-000123 --as bo --verdict approve --reason \"known customer\""
    )]
    Recheck(recheck::RecheckArgs),
    /// Practise on a closed case: it is shown without its verdict, and your answer is compared. Writes nothing.
    #[command(
        after_help = "Examples:\n  fraudstream review practice --as dana\n  fraudstream review practice ORD-000123 --as dana --verdict block"
    )]
    Practice(practice::PracticeArgs),
}

impl ReviewArgs {
    /// Does it.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let desk = desk::Desk::open(workspace).await?;
        let done = self.action.run(&desk).await;
        desk.close().await?;
        done
    }
}

impl ReviewAction {
    async fn run(self, desk: &desk::Desk<'_>) -> Result<(), CommandError> {
        match self {
            Self::List(args) => args.run(desk).await,
            Self::Next(args) => args.run(desk).await,
            Self::Show(args) => args.run(desk).await,
            Self::Claim(args) => args.claim(desk).await,
            Self::Release(args) => args.release(desk).await,
            Self::Note(args) => args.run(desk).await,
            Self::Approve(args) => args.run(desk, VerdictKind::Approve).await,
            Self::Block(args) => args.run(desk, VerdictKind::Block).await,
            Self::Escalate(args) => args.escalate(desk).await,
            Self::Appeal(args) => args.appeal(desk).await,
            Self::Related(args) => args.run(desk).await,
            Self::Settle(args) => args.run(desk).await,
            Self::Adopt(args) => args.run(desk).await,
            Self::Stats(args) => args.run(desk).await,
            Self::Recheck(args) => args.run(desk).await,
            Self::Practice(args) => args.run(desk).await,
        }
    }
}

/// Who does it.
#[derive(Debug, Args)]
struct PersonArgs {
    /// Who you are; it is kept with what you do.
    #[arg(long = "as", value_name = "NAME")]
    who: PersonName,
}

/// Who does it, and why.
#[derive(Debug, Args)]
struct PersonAndReason {
    #[command(flatten)]
    person: PersonArgs,
    /// Why, in a sentence; it stays in the table and is not forwarded.
    #[arg(long, value_name = "TEXT")]
    reason: CaseText,
}

/// What a person can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum VerdictKind {
    /// The order is good.
    Approve,
    /// The order is fraud.
    Block,
}
