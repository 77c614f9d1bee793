//! A store that does not open.

use std::path::Path;

use annalist_store::{Examined, OpenError, Store};
use serde_json::json;

use crate::{
    failure::{Done, Failure},
    output::Output,
    place,
};

/// Says why a store does not open, and what is damaged in its folder if that is why.
pub(super) async fn examine(dir: &Path, error: OpenError, output: &mut Output) -> Result<Done, Failure> {
    let may_be_damage = matches!(error, OpenError::Damaged(_) | OpenError::NotAStore { .. } | OpenError::Engine { .. });
    if !may_be_damage || !dir.join("log").is_dir() {
        return Err(error.into());
    }
    let folder = dir.to_owned();
    let examined = tokio::task::spawn_blocking(move || Store::examine(folder, &place::options())).await;
    let examined = examined.map_err(|error| Failure::Other(format!("looking at the folder broke off: {error}")))??;
    if examined.findings.is_empty() {
        return Err(error.into());
    }
    print(&examined, &error, output)?;
    Ok(Done::FoundDamage)
}

fn print(examined: &Examined, error: &OpenError, output: &mut Output) -> Result<(), Failure> {
    let why = chain(error);
    if output.json {
        let findings = examined.findings.iter().map(|finding| {
            json!({
                "file": finding.file.display().to_string(),
                "position": finding.position.get(),
                "detail": finding.detail,
            })
        });
        let readable = examined.readable.iter().map(|(first, last)| json!([first.get(), last.get()]));
        return output.value(&json!({
            "sound": false,
            "opens": false,
            "why": why,
            "findings": findings.collect::<Vec<_>>(),
            "readable": readable.collect::<Vec<_>>(),
        }));
    }
    output.line(&format!("it does not open: {why}"))?;
    let rows = examined.findings.iter().map(|finding| {
        let position = if finding.position.get() == 0 { String::new() } else { finding.position.to_string() };
        [finding.file.display().to_string(), position, finding.detail.clone()]
    });
    output.table(["file", "position", "what is wrong"], rows)?;
    let readable: Vec<String> = examined.readable.iter().map(|(first, last)| format!("{first} to {last}")).collect();
    let readable = if readable.is_empty() { "none".to_owned() } else { readable.join(", ") };
    output.line(&format!("positions whose pages are whole: {readable}"))?;
    if examined.findings.iter().all(|finding| finding.file.starts_with("index")) {
        return output.line("the log is whole: delete the folder `index`, it is made anew when the store opens");
    }
    output.line("nothing was changed: keep a copy of the folder, and restore a backup")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
