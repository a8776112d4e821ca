//! Reading: GetObject and HeadObject.
//! Promise: an answer is of one version of the object, also when it is replaced meanwhile; it is streamed.

use std::{
    io::{Seek, SeekFrom},
    ops::Range,
    sync::Arc,
};

use hyper::{HeaderMap, header};
use s3s::{
    S3Error, S3Response, S3Result,
    dto::{
        self, CopyObjectInput, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
        StreamingBlob, Timestamp,
    },
    s3_error,
};

use super::{
    blocking, digests,
    disk::Disk,
    object::{Reader, Stored},
};

/// Under which conditions the object is wanted.
pub(super) struct Conditions<'a> {
    matches: Option<&'a ETagCondition>,
    none_match: Option<&'a ETagCondition>,
    modified_since: Option<&'a Timestamp>,
    unmodified_since: Option<&'a Timestamp>,
}

impl<'a> Conditions<'a> {
    fn of(input: &'a GetObjectInput) -> Self {
        Self {
            matches: input.if_match.as_ref(),
            none_match: input.if_none_match.as_ref(),
            modified_since: input.if_modified_since.as_ref(),
            unmodified_since: input.if_unmodified_since.as_ref(),
        }
    }

    /// Those of the source of a copy.
    pub(super) fn of_copy(input: &'a CopyObjectInput) -> Self {
        Self {
            matches: input.copy_source_if_match.as_ref(),
            none_match: input.copy_source_if_none_match.as_ref(),
            modified_since: input.copy_source_if_modified_since.as_ref(),
            unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
        }
    }
}

/// Whether the object is wanted, in the order of RFC 9110: an ETag counts before a time.
///
/// # Errors
/// PreconditionFailed, NotModified.
pub(super) fn check(stored: &Stored, conditions: &Conditions<'_>) -> S3Result {
    let same = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == stored.record.etag,
    };
    let modified = Timestamp::from(stored.modified);
    let failed = match (conditions.matches, conditions.unmodified_since) {
        (Some(condition), _) => !same(condition),
        (None, since) => since.is_some_and(|since| modified > *since),
    };
    if failed {
        return Err(s3_error!(PreconditionFailed));
    }
    let unchanged = match (conditions.none_match, conditions.modified_since) {
        (Some(condition), _) => same(condition),
        (None, since) => since.is_some_and(|since| modified <= *since),
    };
    if unchanged { Err(not_modified(stored)) } else { Ok(()) }
}

fn not_modified(stored: &Stored) -> S3Error {
    let mut error = s3_error!(NotModified);
    let mut headers = HeaderMap::new();
    if let Ok(etag) = ETag::Strong(stored.record.etag.clone()).to_http_header() {
        headers.insert(header::ETAG, etag);
    }
    error.set_headers(headers);
    error
}

/// The part that is wanted; None: all of it.
fn part(stored: &Stored, wanted: Option<&dto::Range>) -> S3Result<Option<Range<u64>>> {
    match wanted.map(|range| range.check(stored.length)).transpose() {
        // The last bytes of nothing are nothing, which has no place.
        Ok(Some(part)) if part.is_empty() => Err(s3_error!(InvalidRange)),
        Ok(part) => Ok(part),
        Err(_) => Err(s3_error!(InvalidRange)),
    }
}

/// GetObject.
pub(super) async fn get(disk: Arc<Disk>, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
    // Passing over versions, parts and keys of the client's own would answer with another thing.
    if input.version_id.is_some() || input.part_number.is_some() || input.sse_customer_key.is_some() {
        return Err(s3_error!(NotImplemented));
    }
    blocking(move || read(&disk, &input).map(S3Response::new)).await
}

fn read(disk: &Disk, input: &GetObjectInput) -> S3Result<GetObjectOutput> {
    let mut stored = disk.read(&input.bucket, &input.key)?;
    check(&stored, &Conditions::of(input))?;
    let part = part(&stored, input.range.as_ref())?;
    let span = part.clone().unwrap_or(0..stored.length);
    let size = span.end - span.start;
    stored.file.seek(SeekFrom::Start(span.start)).map_err(S3Error::internal_error)?;
    // A digest of the whole says nothing about a part.
    let sums = match (&input.checksum_mode, &part) {
        (Some(_), None) => digests::shown(&stored.record.checksums),
        _ => dto::Checksum::default(),
    };
    let headers = stored.record.headers;
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        body: Some(StreamingBlob::new(Reader::new(stored.file, size))),
        cache_control: headers.cache_control,
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_length: i64::try_from(size).ok(),
        content_range: part.map(|part| format!("bytes {}-{}/{}", part.start, part.end - 1, stored.length)),
        content_type: Some(headers.content_type.unwrap_or_else(|| "binary/octet-stream".into())),
        e_tag: Some(ETag::Strong(stored.record.etag)),
        last_modified: Some(stored.modified.into()),
        metadata: Some(stored.record.metadata.into_iter().collect()),
        ..GetObjectOutput::default()
    })
}

/// HeadObject: all of GetObject but the content.
pub(super) async fn head(disk: Arc<Disk>, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
    let asked = GetObjectInput {
        bucket: input.bucket,
        key: input.key,
        checksum_mode: input.checksum_mode,
        if_match: input.if_match,
        if_modified_since: input.if_modified_since,
        if_none_match: input.if_none_match,
        if_unmodified_since: input.if_unmodified_since,
        part_number: input.part_number,
        range: input.range,
        sse_customer_key: input.sse_customer_key,
        version_id: input.version_id,
        ..GetObjectInput::default()
    };
    let found = get(disk, asked).await?.output;
    Ok(S3Response::new(HeadObjectOutput {
        accept_ranges: found.accept_ranges,
        cache_control: found.cache_control,
        checksum_crc32: found.checksum_crc32,
        checksum_crc32c: found.checksum_crc32c,
        checksum_crc64nvme: found.checksum_crc64nvme,
        checksum_sha1: found.checksum_sha1,
        checksum_sha256: found.checksum_sha256,
        checksum_type: found.checksum_type,
        content_disposition: found.content_disposition,
        content_encoding: found.content_encoding,
        content_language: found.content_language,
        content_length: found.content_length,
        content_range: found.content_range,
        content_type: found.content_type,
        e_tag: found.e_tag,
        last_modified: found.last_modified,
        metadata: found.metadata,
        ..HeadObjectOutput::default()
    }))
}
