//! What was declared once stays: every field, value and method of the protocol is in `annalist.lock` with its number and type,
//! and a line of it may neither change nor go. So clients of every earlier version are understood.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use annalist_proto::v1::FILE_DESCRIPTORS;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

#[test]
fn what_was_declared_once_stays() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("annalist/v1/annalist.lock");
    let locked = fs::read_to_string(&path).unwrap_or_default();
    let now = declared();
    let gone: Vec<&str> = locked.lines().filter(|line| !now.contains(*line)).collect();
    assert!(gone.is_empty(), "the protocol breaks its promise (docs/server.md):\n{}", gone.join("\n"));
    if std::env::var_os("ANNALIST_UPDATE").is_some() {
        let text = now.iter().fold(String::new(), |text, line| text + line + "\n");
        fs::write(&path, text).expect("the lock can be written");
        return;
    }
    let locked: BTreeSet<&str> = locked.lines().collect();
    let new: Vec<&str> = now.iter().map(String::as_str).filter(|line| !locked.contains(line)).collect();
    assert!(new.is_empty(), "new, to be locked by ANNALIST_UPDATE=1 once it is meant so:\n{}", new.join("\n"));
}

#[test]
fn numbers_are_used_once() {
    let mut numbers = BTreeSet::new();
    for line in declared() {
        let Some((name, rest)) = line.split_once(" = ") else { continue };
        let (parent, number) = (name.rsplit_once('.').map_or("", |(parent, _)| parent), rest.split(' ').next());
        assert!(numbers.insert((parent.to_owned(), number.map(str::to_owned))), "{line}: the number is taken");
    }
    assert!(numbers.len() > 150, "the declarations were found: {}", numbers.len());
}

/// Everything that is declared, a line each.
fn declared() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTORS).expect("what the build wrote");
    let mut lines = BTreeSet::new();
    for file in files.file {
        for message in &file.message_type {
            fields(&mut lines, file.package(), message);
        }
        for one in &file.enum_type {
            values(&mut lines, file.package(), one);
        }
        for service in &file.service {
            for method in &service.method {
                let stream = |is: bool| if is { "stream " } else { "" };
                lines.insert(format!(
                    "rpc {}.{}.{}({}{}) returns ({}{})",
                    file.package(),
                    service.name(),
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type(),
                    stream(method.server_streaming()),
                    method.output_type(),
                ));
            }
        }
    }
    lines
}

fn fields(lines: &mut BTreeSet<String>, within: &str, message: &DescriptorProto) {
    let name = format!("{within}.{}", message.name());
    for field in &message.field {
        lines.insert(format!("{name}.{} = {}", field.name(), described(message, field)));
    }
    for nested in &message.nested_type {
        fields(lines, &name, nested);
    }
    for one in &message.enum_type {
        values(lines, &name, one);
    }
}

/// The number of a field and its type.
fn described(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let mut text = field.number().to_string();
    if field.label() == Label::Repeated {
        text += " repeated";
    }
    if field.proto3_optional() {
        text += " optional";
    } else if let Some(one) = field.oneof_index.and_then(|at| message.oneof_decl.get(usize::try_from(at).ok()?)) {
        _ = write!(text, " oneof {}", one.name());
    }
    match field.r#type() {
        Type::Message | Type::Enum => text + " " + field.type_name(),
        other => text + " " + &format!("{other:?}").to_lowercase(),
    }
}

fn values(lines: &mut BTreeSet<String>, within: &str, one: &EnumDescriptorProto) {
    for value in &one.value {
        lines.insert(format!("{within}.{}.{} = {}", one.name(), value.name(), value.number()));
    }
}
