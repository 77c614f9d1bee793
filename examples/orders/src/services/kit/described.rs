//! What a handler takes and answers, read off its types.

use annalist_service::{Accepted, IdempotencyKey, Problem};
use axum::{
    Json,
    extract::{Path, State},
    response::NoContent,
};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema, openapi::Ref};

/// The types of all bodies, by name.
#[derive(Debug, Default)]
pub struct Schemas(Map<String, Value>);

impl Schemas {
    /// Refers to a type, which is described once.
    fn refer<T: ToSchema>(&mut self) -> Value {
        let mut used = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut used);
        self.0.extend(used.into_iter().map(|(name, schema)| (name, json!(schema))));
        json!(Ref::from_schema_name(T::name()))
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

/// What a handler takes and answers.
#[derive(Debug, Default)]
pub struct Said {
    /// The part of the path that it takes.
    pub(super) path: Option<Value>,
    /// Headers that it needs.
    pub(super) headers: Vec<&'static str>,
    /// What the request says.
    pub(super) body: Option<Value>,
    /// The status of its answer when all is well.
    pub(super) status: &'static str,
    /// What the answer says.
    pub(super) answer: Option<Value>,
}

/// A handler that says what it takes and answers. `A` are the types of its arguments and of its answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` takes or answers what is not described: see `Argument` and `Answer`"
)]
pub trait Described<A> {
    /// What it takes and answers.
    fn described(schemas: &mut Schemas) -> Said;
}

/// What a handler can take.
pub trait Argument {
    /// Adds what it takes.
    fn describe(said: &mut Said, schemas: &mut Schemas);
}

/// What a handler can answer.
pub trait Answer {
    /// Adds what it answers.
    fn describe(said: &mut Said, schemas: &mut Schemas);
}

impl<S> Argument for State<S> {
    fn describe(_: &mut Said, _: &mut Schemas) {}
}

impl<P: PartialSchema> Argument for Path<P> {
    fn describe(said: &mut Said, _: &mut Schemas) {
        said.path = Some(json!(P::schema()));
    }
}

impl Argument for IdempotencyKey {
    fn describe(said: &mut Said, _: &mut Schemas) {
        said.headers.push("Idempotency-Key");
    }
}

impl<T: ToSchema> Argument for Json<T> {
    fn describe(said: &mut Said, schemas: &mut Schemas) {
        said.body = Some(schemas.refer::<T>());
    }
}

impl<T: ToSchema> Answer for Json<T> {
    fn describe(said: &mut Said, schemas: &mut Schemas) {
        (said.status, said.answer) = ("200", Some(schemas.refer::<T>()));
    }
}

impl Answer for NoContent {
    fn describe(said: &mut Said, _: &mut Schemas) {
        said.status = "204";
    }
}

impl Answer for Accepted {
    fn describe(said: &mut Said, _: &mut Schemas) {
        said.status = "202";
        said.answer = Some(json!({
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "operation": { "type": "string", "description": "Where to ask how it comes on" },
            },
            "required": ["id", "operation"],
        }));
    }
}

impl<A: Answer> Answer for Result<A, Problem> {
    fn describe(said: &mut Said, schemas: &mut Schemas) {
        A::describe(said, schemas);
    }
}

macro_rules! described {
    ($($argument:ident)+) => {
        impl<F, Fut, A, $($argument),+> Described<($($argument,)+ A)> for F
        where
            F: Fn($($argument),+) -> Fut,
            Fut: Future<Output = A>,
            A: Answer,
            $($argument: Argument),+
        {
            fn described(schemas: &mut Schemas) -> Said {
                let mut said = Said::default();
                $($argument::describe(&mut said, schemas);)+
                A::describe(&mut said, schemas);
                said
            }
        }
    };
}

described!(T1);
described!(T1 T2);
described!(T1 T2 T3);
described!(T1 T2 T3 T4);
