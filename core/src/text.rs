//! The one rule for names: non-empty, bounded, without control characters.

use crate::error::Invalid;

/// Checks a name that will stand in the log and in index keys.
pub(crate) fn check(what: &'static str, value: &str, bytes_max: usize) -> Result<(), Invalid> {
    if value.is_empty() {
        return Err(Invalid::Empty { what });
    }
    if value.len() > bytes_max {
        return Err(Invalid::TooLong { what, bytes: value.len(), bytes_max });
    }
    if let Some(at) = value.find(|c: char| c.is_control()) {
        return Err(Invalid::ControlCharacter { what, at });
    }
    Ok(())
}

/// Gives a validated string newtype its common face: construction, `Display`, `FromStr`, serde as a string.
macro_rules! text_newtype {
    ($name:ident, $check:expr) => {
        impl $name {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// [`Invalid`](crate::Invalid) says which rule the name breaks.
            pub fn new(value: impl Into<std::sync::Arc<str>>) -> Result<Self, crate::error::Invalid> {
                let value = value.into();
                let check: fn(&str) -> Result<(), crate::error::Invalid> = $check;
                check(&value)?;
                Ok(Self(value))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::Invalid;
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::new(value)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::error::Invalid;
            fn try_from(value: &str) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::error::Invalid;
            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = String::deserialize(deserializer)?;
                Self::new(value).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_newtype;
