//! Listing: ListObjectsV2.
//! Promise: keys come in the order of their UTF-8 bytes, each once, on however many pages.

use std::sync::Arc;

use s3s::{
    S3Request, S3Response, S3Result,
    dto::{CommonPrefix, ETag, EncodingType, ListObjectsV2Input, ListObjectsV2Output, Object},
    s3_error,
};

use super::{blocking, disk::Disk, names};

/// The longest page.
const MOST: usize = 1000;

/// What stands on a page.
enum Line {
    Key(String),
    /// Keys that go on after the delimiter stand for one line.
    Prefix(String),
}

/// ListObjectsV2.
pub(super) async fn list(
    disk: Arc<Disk>,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    blocking(move || page(&disk, request.input).map(S3Response::new)).await
}

fn page(disk: &Disk, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let most = input.max_keys.map_or(Ok(MOST), usize::try_from);
    let most = most.map_err(|_| s3_error!(InvalidArgument, "max-keys is negative"))?.min(MOST);
    let after = match &input.continuation_token {
        Some(token) => Some(names::key_of(token).ok_or_else(|| s3_error!(InvalidArgument, "not a token of ours"))?),
        None => input.start_after.clone(),
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let keys = disk.keys(&input.bucket, &prefix)?;
    let mut lines = lines(keys, prefix.len(), delimiter.as_deref(), after.as_deref(), most + 1);
    let is_truncated = lines.len() > most && most > 0;
    lines.truncate(most);
    let last = lines.last().map(|(Line::Key(text) | Line::Prefix(text))| names::for_url(text));
    let for_url = input.encoding_type.as_ref().is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    let shown = |text: String| if for_url { names::for_url(&text) } else { text };
    let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Key(key) => contents.extend(object(disk, &input.bucket, key, shown)),
            Line::Prefix(prefix) => common_prefixes.push(CommonPrefix { prefix: Some(shown(prefix)) }),
        }
    }
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(shown),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        max_keys: i32::try_from(most).ok(),
        name: Some(input.bucket),
        next_continuation_token: last.filter(|_| is_truncated),
        prefix: input.prefix.map(shown),
        start_after: input.start_after.map(shown),
        ..ListObjectsV2Output::default()
    })
}

fn lines(keys: Vec<String>, prefix: usize, delimiter: Option<&str>, after: Option<&str>, most: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for key in keys {
        let cut = delimiter.and_then(|text| key.get(prefix..)?.find(text).map(|at| prefix + at + text.len()));
        let line = match cut.and_then(|cut| key.get(..cut)) {
            Some(prefix) => Line::Prefix(prefix.to_owned()),
            None => Line::Key(key),
        };
        let (Line::Key(text) | Line::Prefix(text)) = &line;
        if after.is_some_and(|after| text.as_str() <= after) {
            continue;
        }
        if let (Line::Prefix(this), Some(Line::Prefix(before))) = (&line, lines.last())
            && this == before
        {
            continue;
        }
        if lines.len() == most {
            break;
        }
        lines.push(line);
    }
    lines
}

/// A line about an object. None: it was deleted meanwhile.
fn object(disk: &Disk, bucket: &str, key: String, shown: impl Fn(String) -> String) -> Option<Object> {
    let stored = disk.read(bucket, &key).ok()?;
    Some(Object {
        e_tag: Some(ETag::Strong(stored.record.etag)),
        last_modified: Some(stored.modified.into()),
        size: i64::try_from(stored.length).ok(),
        key: Some(shown(key)),
        ..Object::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(keys: &[&str], prefix: &str, delimiter: Option<&str>, after: Option<&str>, most: usize) -> Vec<String> {
        let keys = keys.iter().filter(|key| key.starts_with(prefix)).map(|key| (*key).to_owned()).collect();
        let lines = lines(keys, prefix.len(), delimiter, after, most);
        lines.into_iter().map(|(Line::Key(text) | Line::Prefix(text))| text).collect()
    }

    #[test]
    fn folders_are_one_line() {
        let keys = ["a", "b/1", "b/2", "b/c/3", "d"];
        assert_eq!(texts(&keys, "", Some("/"), None, 9), ["a", "b/", "d"]);
        assert_eq!(texts(&keys, "b/", Some("/"), None, 9), ["b/1", "b/2", "b/c/"]);
        assert_eq!(texts(&keys, "", Some("/"), Some("b/"), 9), ["d"]);
        assert_eq!(texts(&keys, "", None, Some("b/1"), 2), ["b/2", "b/c/3"]);
    }
}
