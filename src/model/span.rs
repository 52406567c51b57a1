//! Spans of time in JSON: seconds, a whole number where it is one. For `#[serde(with = "span")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    if span.subsec_nanos() == 0 {
        serializer.serialize_u64(span.as_secs())
    } else {
        serializer.serialize_f64(span.as_secs_f64())
    }
}

/// A whole number is read as one: as a floating-point number, a large one would lose its last seconds.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Whole(u64),
        Part(f64),
    }
    match Seconds::deserialize(deserializer)? {
        Seconds::Whole(seconds) => Ok(Duration::from_secs(seconds)),
        Seconds::Part(seconds) => Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom),
    }
}

/// For a span that may be absent.
pub(crate) mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::serialize(span, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Span(#[serde(with = "super")] Duration);

        Ok(Option::<Span>::deserialize(deserializer)?.map(|Span(span)| span))
    }
}
