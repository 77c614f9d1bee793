use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(*name, *value);
    }
    headers
}

fn expected() -> Incoming {
    let mut message = Incoming::new("7f3a", "urn:annalist:orders", "orders.order-placed.v2");
    message.subject = Some("a \"b\" 100% ü".to_owned());
    message.time = Some("2026-01-02T03:04:05Z".to_owned());
    message.content_type = Some("application/json".to_owned());
    message.metadata.correlation_id = Some("c-1".to_owned());
    message.metadata.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    message.attributes.insert("sequence".to_owned(), "3".to_owned());
    message.data = r#"{"order":7}"#.into();
    message
}

#[test]
fn binary_mode_is_read_whatever_the_case_of_the_names() {
    let headers = headers(&[
        ("CE-SpecVersion", "1.0"),
        ("ce-ID", "7f3a"),
        ("Ce-Source", "urn:annalist:orders"),
        ("ce-type", "orders.order-placed.v2"),
        ("ce-subject", "a%20%22b%22%20100%25%20%C3%BC"),
        ("ce-time", "2026-01-02T03:04:05Z"),
        ("ce-datacontenttype", "application/json"),
        ("ce-correlationid", "c-1"),
        ("ce-sequence", "3"),
        ("TraceParent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("Nats-Msg-Id", "7f3a"),
    ]);
    assert_eq!(decode(&headers, &r#"{"order":7}"#.into()), Ok(expected()));
}

#[test]
fn structured_mode_is_read() {
    let json = r#"{"specversion":"1.0","id":"7f3a","source":"urn:annalist:orders","type":"orders.order-placed.v2",
        "subject":"a \"b\" 100% ü","time":"2026-01-02T03:04:05Z","datacontenttype":"application/json",
        "correlationid":"c-1","sequence":3,"dataschema":null,
        "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"order":7}}"#;
    let headers = headers(&[("content-type", "Application/CloudEvents+JSON; charset=utf-8")]);
    assert_eq!(decode(&headers, &json.into()), Ok(expected()));
}

#[test]
fn data_of_structured_mode_is_what_it_stands_for() {
    let headers = headers(&[("Content-Type", "application/cloudevents+json")]);
    let data = |rest: &str| {
        let json = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t",{rest}}}"#);
        decode(&headers, &json.into()).map(|message| message.data)
    };
    assert_eq!(data(r#""data":"text""#), Ok(Bytes::from("\"text\"")));
    assert_eq!(data(r#""data":"text","datacontenttype":"text/plain""#), Ok(Bytes::from("text")));
    assert_eq!(data(r#""data_base64":"AAH/""#), Ok(Bytes::from_static(&[0, 1, 255])));
    assert_eq!(data(r#""time":null"#), Ok(Bytes::new()));
    assert!(data(r#""data_base64":"?""#).is_err());
}

#[test]
fn what_is_no_event_is_told_and_kept() {
    let complete = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")];
    let told = |pairs: &[(&str, &str)]| decode(&headers(pairs), &"data".into()).unwrap_err();
    for (index, (name, _)) in complete.iter().enumerate() {
        let mut lacking = complete.to_vec();
        lacking.remove(index);
        let malformed = told(&lacking);
        assert!(malformed.detail.contains(name.strip_prefix("ce-").unwrap()), "{malformed}");
        assert_eq!(malformed.data, "data");
    }
    let mut other = complete.to_vec();
    other[0].1 = "0.3";
    assert!(told(&other).detail.contains("0.3"));
    other = complete.to_vec();
    other[1].1 = "%zz";
    assert!(told(&other).detail.contains("ce-id"));
    assert!(told(&[("content-type", "application/cloudevents-batch+json")]).detail.contains("batches"));
    assert!(told(&[("content-type", "application/cloudevents+json")]).detail.contains("JSON"));
}
