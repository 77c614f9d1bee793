//! `annalist verify`: whether anything is damaged.

use std::ops::ControlFlow;

use annalist_core::{Part, Position, Verified};
use clap::Args;
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place::{Opened, Place},
};

/// Reads the whole store and says what is damaged, and where
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Go on behind this position, where an earlier run came to.
    #[arg(long, default_value_t = 0)]
    after: u64,
}

pub(crate) async fn run(arguments: &Arguments, output: &mut Output) -> Result<Done, Failure> {
    let store = arguments.place.open_to_read().await?;
    let bar = Output::bar("verifying");
    let after = Position::new(arguments.after);
    let told = |progress| {
        bar.show(progress);
        ControlFlow::Continue(())
    };
    let verified = match &store {
        Opened::Folder(store) => store.verify(after, told).await?,
        Opened::Followed(store) => store.verify(after, told).await?,
        Opened::Server(server) => server.verify(after, |progress| bar.show(progress)).await?,
    };
    drop(bar);
    print(&verified, output)?;
    store.close().await?;
    Ok(if verified.is_sound() { Done::Well } else { Done::FoundDamage })
}

fn print(verified: &Verified, output: &mut Output) -> Result<(), Failure> {
    let name = |part: Part| match part {
        Part::Log => "log",
        Part::Index => "index",
    };
    if output.json {
        let findings = verified.findings.iter().map(|finding| {
            json!({ "part": name(finding.part), "position": finding.position.get(), "detail": finding.detail })
        });
        return output.value(&json!({
            "sound": verified.is_sound(),
            "after": verified.after.get(),
            "through": verified.through.get(),
            "pages": verified.pages,
            "findings_count": verified.findings_count,
            "findings": findings.collect::<Vec<_>>(),
        }));
    }
    let (after, through, pages) = (verified.after, verified.through, verified.pages);
    if verified.is_sound() {
        return output.line(&format!("sound: positions {} to {through}, {pages} pages, and the index", after.next()));
    }
    let rows = verified
        .findings
        .iter()
        .map(|finding| [name(finding.part).to_owned(), finding.position.to_string(), finding.detail.clone()]);
    output.table(["part", "position", "what is wrong"], rows)?;
    output.line(&format!("{} findings up to position {through}", verified.findings_count))?;
    if verified.findings.iter().any(|finding| finding.part == Part::Index) {
        output.line("the index can be rebuilt and nothing is lost: annalist rebuild-index; verify again then")?;
    }
    if verified.findings.iter().any(|finding| finding.part == Part::Log) {
        output.line("the log is the truth: keep a copy of the folder, and restore a backup")?;
    }
    Ok(())
}
