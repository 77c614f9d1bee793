//! Commands by name: what has been written down as data can be executed again after a restart.

use std::{
    any::{TypeId, type_name},
    fmt,
    str::FromStr,
    sync::Arc,
};

use annalist_core::Metadata;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Command, Commands, Decide, ExecuteError, On};
use crate::{
    aggregate::Aggregate,
    event::{Declared, EventSet, Events},
};

/// The commands that can be executed by name: which aggregate decides about which.
///
/// A saga says here what it sends, [`AppBuilder::command`](crate::AppBuilder::command) adds others.
#[derive(Clone, Debug, Default)]
pub struct CommandSet {
    registered: Vec<Registered>,
    clash: Option<(&'static str, &'static str)>,
}

#[derive(Clone)]
struct Registered {
    aggregate: &'static str,
    category: &'static str,
    command: &'static str,
    declared: fn() -> Vec<Declared>,
    types: (TypeId, TypeId),
    check: Check,
    execute: ExecuteNamed,
}

/// A command and the aggregate that decides about it.
pub(crate) struct Named {
    /// What the aggregate is called in the source.
    pub(crate) aggregate: &'static str,
    pub(crate) category: &'static str,
    pub(crate) command: &'static str,
    /// The aggregate's events.
    pub(crate) declared: Vec<Declared>,
}

/// The name of a type in the source, without its path and its parameters.
pub(crate) fn name_of<T>() -> &'static str {
    type_name::<T>().split('<').next().unwrap_or_default().rsplit("::").next().unwrap_or_default()
}

type Check = fn(&str, &Value) -> Result<(), String>;
type ExecuteNamed = fn(Arc<Commands>, &str, &Value, String, Metadata) -> BoxFuture<'static, Attempt>;

/// What came of executing a command by name.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Attempt {
    /// It is recorded; this is the reply, as JSON.
    Accepted(Value),
    /// The aggregate refuses: what the rejection says, and the rejection as JSON.
    Rejected { message: String, detail: Value },
    /// Trying again later may help.
    Retry(String),
    /// Trying again does not help; someone must act.
    Broken(String),
    /// The app shuts down.
    Closed,
}

impl CommandSet {
    /// Adds a command and the aggregate that decides about it. To add it again changes nothing.
    pub fn add<A: Aggregate + Decide<C>, C: Command>(&mut self) -> &mut Self {
        let (category, command, types) = (A::Event::CATEGORY, C::NAME, (TypeId::of::<A>(), TypeId::of::<C>()));
        match self.find(category, command) {
            Some(found) if found.types == types => {}
            Some(_) => self.clash = Some((category, command)),
            None => self.registered.push(Registered {
                aggregate: name_of::<A>(),
                category,
                command,
                declared: <A::Event as Events>::declared,
                types,
                check: check::<A, C>,
                execute: execute::<A, C>,
            }),
        }
        self
    }

    /// Adds the commands of another set.
    pub(crate) fn merge(&mut self, other: Self) {
        self.clash = self.clash.or(other.clash);
        for added in other.registered {
            match self.find(added.category, added.command) {
                Some(found) if found.types == added.types => {}
                Some(_) => self.clash = Some((added.category, added.command)),
                None => self.registered.push(added),
            }
        }
    }

    /// The commands, for people.
    pub(crate) fn named(&self) -> impl Iterator<Item = Named> {
        self.registered.iter().map(|Registered { aggregate, category, command, declared, .. }| Named {
            aggregate,
            category,
            command,
            declared: declared(),
        })
    }

    /// A category and a command that two different types were added for, if there are.
    pub(crate) const fn clash(&self) -> Option<(&'static str, &'static str)> {
        self.clash
    }

    /// Whether a command that is written down can be executed.
    ///
    /// # Errors
    /// What is in the way, and what to do.
    pub(crate) fn check(&self, category: &str, target: &str, command: &str, payload: &Value) -> Result<(), String> {
        let found = self.find(category, command).ok_or_else(|| self.missing(category, command))?;
        (found.check)(target, payload)
    }

    /// Executes a command that was written down.
    pub(crate) async fn execute(
        &self,
        commands: Arc<Commands>,
        (category, target, command): (&str, &str, &str),
        payload: &Value,
        key: String,
        metadata: Metadata,
    ) -> Attempt {
        match self.find(category, command) {
            Some(found) => (found.execute)(commands, target, payload, key, metadata).await,
            None => Attempt::Broken(self.missing(category, command)),
        }
    }

    fn find(&self, category: &str, command: &str) -> Option<&Registered> {
        self.registered.iter().find(|found| found.category == category && found.command == command)
    }

    fn missing(&self, category: &str, command: &str) -> String {
        let known = self.registered.iter().map(|known| format!("`{}` of `{}`", known.command, known.category));
        let known = known.collect::<Vec<_>>().join(", ");
        format!(
            "the command `{command}` to the category `{category}` is not registered (there are: {known}); add \
             `.add::<Aggregate, Command>()` to the `commands` of the saga that sends it"
        )
    }
}

fn read<A: Aggregate, C: Command>(target: &str, payload: &Value) -> Result<(A::Id, C), String> {
    let category = A::Event::CATEGORY;
    let id = A::Id::from_str(target).map_err(|_| format!("`{target}` is not an id of the category `{category}`"))?;
    let command = C::deserialize(payload)
        .map_err(|error| format!("the content of the command `{}` cannot be read: {error}", C::NAME))?;
    Ok((id, command))
}

fn check<A: Aggregate, C: Command>(target: &str, payload: &Value) -> Result<(), String> {
    let (id, command) = read::<A, C>(target, payload)?;
    if id.to_string() != target {
        return Err(format!("the id `{target}` is read as `{id}`: its `Display` and `FromStr` do not fit together"));
    }
    match serde_json::to_value(&command) {
        Ok(again) if again == *payload => Ok(()),
        Ok(again) => Err(format!("the command `{}` does not come back as it went: {payload} became {again}", C::NAME)),
        Err(error) => Err(format!("the command `{}` cannot be written as JSON: {error}", C::NAME)),
    }
}

fn execute<A: Aggregate + Decide<C>, C: Command>(
    commands: Arc<Commands>,
    target: &str,
    payload: &Value,
    key: String,
    metadata: Metadata,
) -> BoxFuture<'static, Attempt> {
    let read = read::<A, C>(target, payload);
    Box::pin(async move {
        let (id, command) = match read {
            Ok(read) => read,
            Err(why) => return Attempt::Broken(why),
        };
        match On::<A>::new(commands, id).execute(command).key(key).metadata(metadata).await {
            Ok(receipt) => match serde_json::to_value(&receipt.reply) {
                Ok(reply) => Attempt::Accepted(reply),
                Err(error) => Attempt::Broken(format!("the reply cannot be written as JSON: {error}")),
            },
            Err(ExecuteError::Rejected(rejection)) => Attempt::Rejected {
                message: rejection.to_string(),
                detail: serde_json::to_value(&rejection).unwrap_or(Value::Null),
            },
            Err(ExecuteError::Failed(error)) => failed(&error),
        }
    })
}

fn failed(error: &super::CommandError) -> Attempt {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let why = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    match error {
        super::CommandError::Closed => Attempt::Closed,
        error if error.is_retryable() => Attempt::Retry(why),
        _ => Attempt::Broken(why),
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of `{}`", self.command, self.category)
    }
}
