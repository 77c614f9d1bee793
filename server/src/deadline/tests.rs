//! Durations as gRPC writes them.

use super::*;

#[test]
fn durations_are_read_as_grpc_writes_them() {
    assert_eq!(duration("1H"), Some(Duration::from_hours(1)));
    assert_eq!(duration("2M"), Some(Duration::from_mins(2)));
    assert_eq!(duration("10S"), Some(Duration::from_secs(10)));
    assert_eq!(duration("99999999m"), Some(Duration::from_millis(99_999_999)));
    assert_eq!(duration("5u"), Some(Duration::from_micros(5)));
    assert_eq!(duration("0n"), Some(Duration::ZERO));
    for wrong in ["", "S", "1", "1s", "-1S", "+1S", "999999999S", "1ä", "ä"] {
        assert_eq!(duration(wrong), None, "{wrong}");
    }
}
