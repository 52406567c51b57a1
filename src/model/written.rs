//! Types whose form in JSON is the text that people write.

/// Makes the form of a type in JSON its text, which `parse` reads and `Display` writes.
macro_rules! written_as_text {
    ($name:ty, $error:ty) => {
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use written_as_text;
