//! What a decision comes to.

/// The events that a decision records and what it replies.
///
/// It begins with [`emit`], [`emit_all`] or [`nothing`]:
///
/// ```
/// # use annalist::{Decision, emit, emit_all, nothing};
/// let one: Decision<&str> = emit("opened");
/// let two: Decision<&str> = emit("opened").and("deposited");
/// let reply: Decision<&str, u32> = emit_all(["opened", "deposited"]).reply(50);
/// let none: Decision<&str> = nothing();
/// # assert_eq!((two.events(), reply.events().len(), none.events().len()), (&["opened", "deposited"][..], 2, 0));
/// # assert_eq!(one.into_parts(), (vec!["opened"], ()));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a decision does nothing until it is returned"]
pub struct Decision<E, R = ()> {
    events: Vec<E>,
    reply: R,
}

/// One event.
pub fn emit<E>(event: E) -> Decision<E> {
    emit_all([event])
}

/// Several events, in order, recorded together or not at all.
pub fn emit_all<E>(events: impl IntoIterator<Item = E>) -> Decision<E> {
    Decision { events: events.into_iter().collect(), reply: () }
}

/// No event: everything is already as it was wanted.
pub fn nothing<E>() -> Decision<E> {
    emit_all([])
}

impl<E, R> Decision<E, R> {
    /// One more event behind the others.
    pub fn and(mut self, event: E) -> Self {
        self.events.push(event);
        self
    }

    /// More events behind the others.
    pub fn and_all(mut self, events: impl IntoIterator<Item = E>) -> Self {
        self.events.extend(events);
        self
    }

    /// With this reply for the caller.
    pub fn reply<T>(self, reply: T) -> Decision<E, T> {
        Decision { events: self.events, reply }
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[E] {
        &self.events
    }

    /// Takes it apart.
    pub fn into_parts(self) -> (Vec<E>, R) {
        (self.events, self.reply)
    }
}

/// Returns with a rejection unless a condition holds: `ensure!(condition, rejection)`.
///
/// ```
/// # use annalist::ensure;
/// fn withdraw(balance: u64, amount: u64) -> Result<u64, &'static str> {
///     ensure!(balance >= amount, "insufficient funds");
///     Ok(balance - amount)
/// }
/// # assert_eq!((withdraw(5, 3), withdraw(3, 5)), (Ok(2), Err("insufficient funds")));
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $rejection:expr $(,)?) => {
        if !$condition {
            return ::core::result::Result::Err($rejection);
        }
    };
}
