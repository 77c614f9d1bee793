//! The steps of each workflow: a chart and a table.

use std::fmt::{Result, Write};

use super::{
    Description,
    markdown::{code, row},
    mermaid::{Ids, label},
};
use crate::workflow::StepShape;

pub(super) fn write(app: &Description, out: &mut impl Write) -> Result {
    for (name, steps) in &app.workflows {
        writeln!(out, "\n## Steps of the workflow {}\n\n```mermaid", code(name))?;
        chart(steps, out)?;
        let columns = ["step", "executes", "done when", "time-out", "tried again", "compensated by"];
        writeln!(out, "```\n\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()))?;
        for step in steps {
            let named = if step.pivot { format!("{}, the pivot", code(step.name)) } else { code(step.name) };
            let done = if step.waits { "an event says so" } else { "it is accepted" };
            let timeout = step.timeout.map(|timeout| format!("{timeout:?}")).unwrap_or_default();
            let compensated = step.compensates.map(code).unwrap_or_default();
            row(out, [named, code(step.executes), done.to_owned(), timeout, step.retries.to_string(), compensated])?;
        }
    }
    Ok(())
}

/// Steps from left to right; behind each that can fail, what is undone then, from right to left.
fn chart(steps: &[StepShape], out: &mut impl Write) -> Result {
    let mut ids = Ids::default();
    out.write_str("flowchart LR\n")?;
    for step in steps {
        let (open, close) = if step.pivot { ("{{", "}}") } else { ("[", "]") };
        writeln!(out, "  {}{open}{}{close}", ids.of("step", step.name), label(step.name))?;
        if let Some(compensates) = step.compensates {
            writeln!(out, "  {}([{}])", ids.of("undo", step.name), label(compensates))?;
        }
    }
    out.write_str("  done((\"done\"))\n  compensated((\"compensated\"))\n")?;
    let last = steps.iter().position(|step| step.pivot).unwrap_or(steps.len());
    let mut undone = "compensated".to_owned();
    for (place, step) in steps.iter().enumerate() {
        let own = ids.of("step", step.name);
        let next = steps.get(place + 1).map_or_else(|| "done".to_owned(), |next| ids.of("step", next.name));
        writeln!(out, "  {own} --> {next}")?;
        if place > last {
            continue;
        }
        writeln!(out, "  {own} -. rejected .-> {undone}")?;
        if step.compensates.is_some() {
            let undo = ids.of("undo", step.name);
            if step.timeout.is_some() {
                writeln!(out, "  {own} -. too late .-> {undo}")?;
            }
            writeln!(out, "  {undo} --> {undone}")?;
            undone = undo;
        }
    }
    Ok(())
}
