//! Storing: PutObject and CopyObject.
//! Promise: length and digests are compared before the object takes its place; what is wrong, too long, or given up
//! by its client leaves nothing.

use std::{mem, sync::Arc, time::Duration};

use futures_util::StreamExt;
use hyper::body::Bytes;
use s3s::{
    S3Error, S3Request, S3Response, S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, ETagCondition, MetadataDirective,
        PutObjectInput, PutObjectOutput, StreamingBlob,
    },
    s3_error,
    stream::ByteStream,
};

use super::{
    Limits, blocking,
    digests::{self, Claims, Digests},
    disk::Disk,
    draft::Draft,
    get,
    object::{Headers, Record},
};

/// What is collected before it is written: fewer trips to the disk's threads, and still little memory.
const WRITE: usize = 256 * 1024;

/// How long to wait for the next piece: who stalls longer than this is gone, or wants to keep us busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// PutObject.
pub(super) async fn put(
    disk: Arc<Disk>,
    limits: Limits,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let claims = Claims::read(&request.headers)?;
    let trailers = request.trailing_headers;
    let mut input = request.input;
    let only_new = only_new(&input)?;
    let body = input.body.take().unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let length = length(&input, &body, limits)?;
    let (draft, digests) = receive(disk.clone(), claims.digests(), body, length, &input.bucket).await?;
    let outcome = claims.check(digests, trailers.as_ref())?;
    let record = Record {
        etag: outcome.etag.clone(),
        checksums: outcome.checksums.clone(),
        headers: Headers {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding.and_then(own_encoding),
            content_language: input.content_language,
        },
        metadata: input.metadata.unwrap_or_default().into_iter().collect(),
    };
    blocking(move || finish(&disk, draft, &record, &input.bucket, &input.key, only_new)).await?;
    let sums = digests::shown(&outcome.checksums);
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(outcome.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        ..PutObjectOutput::default()
    }))
}

/// Whether the object may not be there yet.
fn only_new(input: &PutObjectInput) -> S3Result<bool> {
    // Each would be a lie if it were passed over in silence.
    let promised = input.if_match.is_some() || input.write_offset_bytes.is_some() || input.sse_customer_key.is_some();
    match &input.if_none_match {
        None if !promised => Ok(false),
        Some(ETagCondition::Any) if !promised => Ok(true),
        _ => Err(s3_error!(NotImplemented)),
    }
}

/// The length that the content must have.
fn length(input: &PutObjectInput, body: &StreamingBlob, limits: Limits) -> S3Result<u64> {
    let claimed = input.content_length.and_then(|length| u64::try_from(length).ok());
    let exact = || body.remaining_length().exact().map(|length| length as u64);
    let length = claimed.or_else(exact).ok_or_else(|| s3_error!(MissingContentLength))?;
    if length > limits.object { Err(too_large()) } else { Ok(length) }
}

/// More than the store takes.
pub(super) fn too_large() -> S3Error {
    let mut error = s3_error!(EntityTooLarge, "the object is larger than this store takes");
    error.set_status_code(hyper::StatusCode::PAYLOAD_TOO_LARGE);
    error
}

/// Writes the content to a draft. Whoever drops this future, because the client is gone, drops the draft with it.
async fn receive(
    disk: Arc<Disk>,
    digests: Digests,
    mut body: StreamingBlob,
    length: u64,
    bucket: &str,
) -> S3Result<(Draft, Digests)> {
    let bucket = bucket.to_owned();
    let begin = move || {
        disk.bucket(&bucket)?;
        disk.draft().map_err(S3Error::internal_error)
    };
    let mut written = (blocking(begin).await?, digests);
    let (mut pieces, mut size, mut total): (Vec<Bytes>, usize, u64) = (Vec::new(), 0, 0);
    let late = |_| s3_error!(RequestTimeout, "nothing came for a while");
    while let Some(piece) = tokio::time::timeout(PATIENCE, body.next()).await.map_err(late)? {
        let piece = piece.map_err(|cause| S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, cause))?;
        size += piece.len();
        total += piece.len() as u64;
        if total > length {
            return Err(s3_error!(IncompleteBody, "more came than Content-Length says"));
        }
        pieces.push(piece);
        if size >= WRITE {
            size = 0;
            written = write(written, mem::take(&mut pieces)).await?;
        }
    }
    if total < length {
        return Err(s3_error!(IncompleteBody, "less came than Content-Length says"));
    }
    write(written, pieces).await
}

async fn write((mut draft, mut digests): (Draft, Digests), pieces: Vec<Bytes>) -> S3Result<(Draft, Digests)> {
    blocking(move || {
        for piece in pieces {
            digests.update(&piece);
            draft.append(&piece).map_err(S3Error::internal_error)?;
        }
        Ok((draft, digests))
    })
    .await
}

fn finish(disk: &Disk, mut draft: Draft, record: &Record, bucket: &str, key: &str, only_new: bool) -> S3Result {
    draft.end(record).map_err(S3Error::internal_error)?;
    disk.publish(draft, bucket, key, only_new)
}

/// The encoding without the one of the transport.
fn own_encoding(encoding: String) -> Option<String> {
    let own: Vec<&str> =
        encoding.split(',').map(str::trim).filter(|e| !e.eq_ignore_ascii_case("aws-chunked")).collect();
    (!own.is_empty()).then(|| own.join(","))
}

/// CopyObject.
pub(super) async fn copy(
    disk: Arc<Disk>,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    let CopySource::Bucket { bucket, key, version_id: None } = &input.copy_source else {
        return Err(s3_error!(NotImplemented));
    };
    let (bucket, key) = (bucket.clone(), key.clone());
    blocking(move || {
        let mut from = disk.read(&bucket, &key)?;
        get::check(&from, &get::Conditions::of_copy(&input)).map_err(|_| s3_error!(PreconditionFailed))?;
        let mut record = from.record;
        if input.metadata_directive.as_ref().is_some_and(|to| to.as_str() == MetadataDirective::REPLACE) {
            record.headers = Headers {
                content_type: input.content_type,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
            };
            record.metadata = input.metadata.unwrap_or_default().into_iter().collect();
        }
        let mut draft = disk.draft().map_err(S3Error::internal_error)?;
        std::io::Seek::rewind(&mut from.file).map_err(S3Error::internal_error)?;
        draft.append_file(&mut from.file, from.length).map_err(S3Error::internal_error)?;
        finish(&disk, draft, &record, &input.bucket, &input.key, false)?;
        let modified = disk.read(&input.bucket, &input.key)?.modified;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(record.etag)),
            last_modified: Some(modified.into()),
            ..CopyObjectResult::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
    })
    .await
}
