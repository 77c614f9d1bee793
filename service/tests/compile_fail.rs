//! What is not settled about a dependency does not compile, and the compiler says what is missing.

#[test]
fn a_client_is_not_built_before_everything_is_settled() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
