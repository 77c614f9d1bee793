//! What the compiler says to those who make a mistake. `TRYBUILD=overwrite cargo test -p annalist-macros` accepts what
//! it says now.

#[test]
fn mistakes_are_shown_where_they_are_made() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
