use super::{count, millis};

#[test]
fn figures_have_about_four_digits() {
    let texts = [0.0, 1.2344, 99.96, 999.94, 1000.0, 12_345.6, 1_234_567.0].map(count);
    assert_eq!(texts, ["0.000", "1.234", "100.0", "999.9", "1,000", "12,346", "1,234,567"]);
    assert_eq!(millis(215), "0.215");
}
