//! The guide, in chapters. Every block of code is compiled and run.

#[doc = include_str!("../guide/1-first-aggregate.md")]
pub mod chapter_1_first_aggregate {}

#[doc = include_str!("../guide/2-conflicts.md")]
pub mod chapter_2_conflicts {}

#[doc = include_str!("../guide/3-evolving-events.md")]
pub mod chapter_3_evolving_events {}

#[doc = include_str!("../guide/4-projections.md")]
pub mod chapter_4_projections {}

#[doc = include_str!("../guide/5-scopes.md")]
pub mod chapter_5_scopes {}

#[doc = include_str!("../guide/6-sagas.md")]
pub mod chapter_6_sagas {}

#[doc = include_str!("../guide/7-workflows.md")]
pub mod chapter_7_workflows {}

#[doc = include_str!("../guide/8-between-services.md")]
pub mod chapter_8_between_services {}

#[doc = include_str!("../guide/9-testing.md")]
pub mod chapter_9_testing {}
