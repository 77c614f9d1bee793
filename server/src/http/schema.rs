//! How texts look, for the description: what the vocabulary checks, as far as a schema can say it. (A schema counts characters, the
//! vocabulary bytes.)
#![expect(dead_code, reason = "they are described, never made")]

use utoipa::ToSchema;

/// A tag, or a part of a key.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
pub(super) struct Name(String);

/// The declared name of a type of events. The store's own begin with `$`.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
pub(super) struct TypeName(String);

/// What stands before the first `-` of a stream's name.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1024, pattern = r"^[^-\x00-\x1f\x7f-\x9f]+$")]
pub(super) struct Category(String);

/// A stream: `category-identifier`, or a category alone. The store's own begins with `$`.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 1024, pattern = r"^[^-\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")]
pub(super) struct StreamName(String);

/// A place in the log.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9]{0,19}$")]
pub(super) struct PositionText(String);

/// A place in the log, or a cursor: `position@store:epoch`.
#[derive(ToSchema)]
#[schema(pattern = "^([0-9]{1,19}(@[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,9})?)?$")]
pub(super) struct CursorText(String);
