//! Where outputs are sent to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where outputs are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A folder of this machine; its absolute path.
    Folder(String),
    /// A bucket, of S3 or whatever speaks as it does.
    Bucket {
        /// Its name.
        bucket: String,
        /// What all names in it begin with, without a `/` at either end; may be empty.
        prefix: String,
    },
}

impl Destination {
    /// Reads `s3://bucket/prefix` or `file:///folder`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` {what}: write `s3://bucket/prefix` or `file:///folder`");
        match text.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Folder(folder(path))),
            Some(("file", _)) => Err(wrong("names no absolute path")),
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(wrong("names no bucket"));
                }
                let prefix = prefix.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
                Ok(Self::Bucket { bucket: bucket.to_owned(), prefix })
            }
            Some((scheme, _)) => Err(wrong(&format!("cannot be sent to: `{scheme}` is not a known scheme"))),
            None => Err(wrong("is no URL")),
        }
    }
}

/// A folder without the slash at its end, which only the root has.
fn folder(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file://{path}"),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Destination {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Destination;

    #[test]
    fn a_destination_is_a_folder_or_a_bucket_and_reads_back() {
        let shown = |text| Destination::parse(text).map(|destination| destination.to_string());
        for (text, read) in [
            ("s3://lab", "s3://lab"),
            ("s3://lab/", "s3://lab"),
            ("s3://lab//a/b/", "s3://lab/a/b"),
            ("file:///data/out/", "file:///data/out"),
            ("file:///", "file:///"),
            ("s3://lab/a \t/", "s3://lab/a \t"),
        ] {
            assert_eq!(shown(text), Ok(read.to_owned()));
            assert_eq!(shown(read), Ok(read.to_owned()));
            assert_eq!(Destination::parse(text), Destination::parse(read));
        }
        let wrong = ["", "/data", "s3:///a", "s3://", "file://data", "gs://lab", "http://lab"];
        let said = wrong.map(|text| shown(text).unwrap_err()).join("\n");
        insta::assert_snapshot!(said, @"
        `` is no URL: write `s3://bucket/prefix` or `file:///folder`
        `/data` is no URL: write `s3://bucket/prefix` or `file:///folder`
        `s3:///a` names no bucket: write `s3://bucket/prefix` or `file:///folder`
        `s3://` names no bucket: write `s3://bucket/prefix` or `file:///folder`
        `file://data` names no absolute path: write `s3://bucket/prefix` or `file:///folder`
        `gs://lab` cannot be sent to: `gs` is not a known scheme: write `s3://bucket/prefix` or `file:///folder`
        `http://lab` cannot be sent to: `http` is not a known scheme: write `s3://bucket/prefix` or `file:///folder`
        ");
    }
}
