//! Finding what matches a query, in lists: one for each name of the query, each sorted by position.
//!
//! An item's lists are intersected by leaping: whichever list stands farthest says where the others must look next, so the cost
//! is bounded by the length of the shortest list behind the beginning, and the log itself is never read. Items, and the
//! types of one item, are united. The lists are those of a view; an empty result of the disk is as good as any.

use annalist_core::{Direction, Position, Query, QueryItem, Within};

use crate::{
    format::{Kind, Place},
    rocks::{IndexDb, ReadError, Tier},
    tail::View,
};

/// What a search looks through.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) view: &'a View,
    /// The index on disk; without it only memory is searched.
    pub(crate) disk: Option<(&'a IndexDb, Tier)>,
    /// The first and the last position that count.
    pub(crate) range: (Position, Position),
}

/// A search in progress; yields places in order of the direction.
pub(crate) struct Search<'a> {
    direction: Direction,
    items: Vec<Item<'a>>,
    /// The next position that may match; `None` when the range is exhausted.
    at: Option<Position>,
}

impl<'a> Search<'a> {
    /// Begins to search for what matches a query that does not match everything. `chunk` is how many places are fetched from
    /// a list at once: one if only the first match is wanted.
    pub(crate) fn new(scope: Scope<'a>, query: &'a Query, direction: Direction, chunk: usize) -> Self {
        let (first, last) = scope.range;
        let at = match direction {
            Direction::Forward => first,
            Direction::Backward => last,
        };
        debug_assert!(!query.is_all(), "an item that matches everything has no lists");
        let source = Source { scope, direction, chunk };
        let items = query.items.iter().map(|item| Item::new(source, item)).collect();
        Self { direction, items, at: (first <= last).then_some(at) }
    }

    /// The next match.
    pub(crate) fn next(&mut self) -> Result<Option<Place>, ReadError> {
        let Some(at) = self.at else { return Ok(None) };
        let found = nearest(&mut self.items, self.direction, |item| item.seek(at))?;
        self.at = found.and_then(|(position, _)| step(self.direction, position));
        Ok(found)
    }
}

/// The place behind which to go on.
fn step(direction: Direction, position: Position) -> Option<Position> {
    match direction {
        Direction::Forward => (position < Position::MAX).then(|| position.next()),
        Direction::Backward => (position > Position::new(1)).then(|| position.previous()),
    }
}

/// Whether `a` comes before `b`.
fn precedes(direction: Direction, a: Position, b: Position) -> bool {
    match direction {
        Direction::Forward => a < b,
        Direction::Backward => a > b,
    }
}

/// The first of what several give.
fn nearest<T>(
    sources: &mut [T],
    direction: Direction,
    mut seek: impl FnMut(&mut T) -> Result<Option<Place>, ReadError>,
) -> Result<Option<Place>, ReadError> {
    let mut nearest: Option<Place> = None;
    for source in sources {
        if let Some(found) = seek(source)?
            && nearest.is_none_or(|(position, _)| precedes(direction, found.0, position))
        {
            nearest = Some(found);
        }
    }
    Ok(nearest)
}

/// An item of the query: alternatives, all of which must be met at one place.
struct Item<'a> {
    direction: Direction,
    required: Vec<Vec<List<'a>>>,
    /// The last answer: still right while what is asked for does not lie behind it.
    found: Found,
}

#[derive(Clone, Copy)]
enum Found {
    NotYet,
    At(Place),
    NoMore,
}

impl<'a> Item<'a> {
    fn new(source: Source<'a>, item: &'a QueryItem) -> Self {
        let list = |kind, name| List { source, kind, name, places: Vec::new(), at: 0, exhausted: false };
        // The rarest first, as far as one can guess: it decides where the others look.
        let mut required: Vec<Vec<List<'a>>> = Vec::new();
        required.extend(item.tags.iter().map(|tag| vec![list(Kind::Tag, tag.as_str())]));
        match &item.within {
            Within::Log => {}
            Within::Category(name) => required.push(vec![list(Kind::Category, name)]),
            Within::Stream(name) => required.insert(0, vec![list(Kind::Stream, name.as_str())]),
        }
        if !item.types.is_empty() {
            required.push(item.types.iter().map(|name| list(Kind::Type, name)).collect());
        }
        Self { direction: source.direction, required, found: Found::NotYet }
    }

    /// The first match at or behind `at`. What is asked for never goes back.
    fn seek(&mut self, at: Position) -> Result<Option<Place>, ReadError> {
        match self.found {
            Found::At(place) if !precedes(self.direction, place.0, at) => return Ok(Some(place)),
            Found::NoMore => return Ok(None),
            Found::At(_) | Found::NotYet => {}
        }
        let found = self.leap(at)?;
        self.found = found.map_or(Found::NoMore, Found::At);
        Ok(found)
    }

    fn leap(&mut self, mut at: Position) -> Result<Option<Place>, ReadError> {
        let (direction, needed) = (self.direction, self.required.len());
        let mut agreed = 0;
        loop {
            for alternatives in &mut self.required {
                let Some(place) = nearest(alternatives, direction, |list| list.seek(at))? else { return Ok(None) };
                agreed = if place.0 == at { agreed + 1 } else { 1 };
                at = place.0;
                if agreed == needed {
                    return Ok(Some(place));
                }
            }
        }
    }
}

/// Where and how lists are read.
#[derive(Clone, Copy)]
struct Source<'a> {
    scope: Scope<'a>,
    direction: Direction,
    chunk: usize,
}

/// The places of one name, fetched a chunk at a time.
struct List<'a> {
    source: Source<'a>,
    kind: Kind,
    name: &'a str,
    places: Vec<Place>,
    /// The first of `places` that was not passed over.
    at: usize,
    /// Nothing comes behind `places`.
    exhausted: bool,
}

impl List<'_> {
    /// The first place at or behind `at`.
    fn seek(&mut self, at: Position) -> Result<Option<Place>, ReadError> {
        let direction = self.source.direction;
        let behind = self.places.get(self.at..).unwrap_or_default();
        self.at += behind.partition_point(|(position, _)| precedes(direction, *position, at));
        if self.at >= self.places.len() && !self.exhausted {
            self.fetch(at)?;
        }
        Ok(self.places.get(self.at).copied())
    }

    fn fetch(&mut self, at: Position) -> Result<(), ReadError> {
        let Source { scope: Scope { view, disk, range }, direction, chunk } = self.source;
        self.places.clear();
        self.at = 0;
        let list = (self.kind, self.name);
        match (direction, disk) {
            (Direction::Forward, disk) => {
                view.places_forward(disk, list, (at, range.1), chunk, &mut self.places)?;
            }
            (Direction::Backward, Some(disk)) => {
                view.places_backward(disk, list, (range.0, at), chunk, &mut self.places)?;
            }
            // Only what is staged is searched without the disk, and only forwards.
            (Direction::Backward, None) => {}
        }
        self.exhausted = self.places.len() < chunk;
        Ok(())
    }
}

/// The first position in the range that matches a query.
pub(crate) fn first_match(scope: Scope<'_>, query: &Query) -> Result<Option<Position>, ReadError> {
    let (first, last) = scope.range;
    if first > last {
        return Ok(None);
    }
    if query.is_all() {
        return Ok(Some(first));
    }
    let found = Search::new(scope, query, Direction::Forward, 1).next()?;
    Ok(found.map(|(position, _)| position))
}
