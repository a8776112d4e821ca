//! Digests of what is being stored, and what the client says they are.
//! Promise: every digest that a client names, in a header or after the content, is compared before the object exists.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::HeaderMap;
use s3s::{
    S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto, s3_error,
};

const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// Counts along while an object is written.
pub(super) struct Digests {
    md5: Md5,
    hasher: ChecksumHasher,
}

/// What the client says.
pub(super) struct Claims {
    /// Base64, as all of them.
    md5: Option<String>,
    /// The algorithm, and the digest if it stands in the head; None: it follows the content, or is ours to count.
    checksums: Vec<(&'static str, Option<String>)>,
    trailing: Vec<&'static str>,
}

/// What came out.
pub(super) struct Outcome {
    /// The MD5 in hexadecimal.
    pub(super) etag: String,
    pub(super) checksums: BTreeMap<String, String>,
}

impl Claims {
    /// Reads them from the head of a request.
    ///
    /// # Errors
    /// InvalidRequest for an algorithm that is unknown.
    pub(super) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let mut claims = Self { md5: text("content-md5").map(str::to_owned), checksums: vec![], trailing: vec![] };
        let wanted = text("x-amz-sdk-checksum-algorithm").or_else(|| text("x-amz-checksum-algorithm"));
        let trailers = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
        for trailer in trailers.flat_map(|list| list.split(',')) {
            let algorithm = trailer.trim().to_ascii_lowercase();
            let algorithm = algorithm.strip_prefix("x-amz-checksum-").and_then(known);
            claims.trailing.push(algorithm.ok_or_else(|| s3_error!(InvalidRequest, "unknown trailer"))?);
        }
        if let Some(wanted) = wanted
            && known(&wanted.to_ascii_lowercase()).is_none()
        {
            return Err(s3_error!(InvalidRequest, "unknown checksum algorithm"));
        }
        for algorithm in ALGORITHMS {
            let claimed = text(&format!("x-amz-checksum-{algorithm}")).map(str::to_owned);
            let asked = wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(algorithm));
            if claimed.is_some() || asked || claims.trailing.contains(&algorithm) {
                claims.checksums.push((algorithm, claimed));
            }
        }
        Ok(claims)
    }

    /// What has to be counted to tell whether they are true.
    pub(super) fn digests(&self) -> Digests {
        let asked = |algorithm: &str| self.checksums.iter().any(|(name, _)| *name == algorithm);
        let hasher = ChecksumHasher {
            crc32: asked("crc32").then(Crc32::new),
            crc32c: asked("crc32c").then(Crc32c::new),
            crc64nvme: asked("crc64nvme").then(Crc64Nvme::new),
            sha1: asked("sha1").then(Sha1::new),
            sha256: asked("sha256").then(Sha256::new),
        };
        Digests { md5: Md5::new(), hasher }
    }

    /// Compares. The trailers are there once the content has been read.
    ///
    /// # Errors
    /// BadDigest.
    pub(super) fn check(&self, digests: Digests, trailers: Option<&TrailingHeaders>) -> S3Result<Outcome> {
        let md5 = digests.md5.finalize();
        if self.md5.as_ref().is_some_and(|claimed| *claimed != BASE64_STANDARD.encode(md5)) {
            return Err(s3_error!(BadDigest, "the content is not what Content-MD5 says"));
        }
        let sums = digests.hasher.finalize();
        let trailers = trailers.and_then(TrailingHeaders::take).unwrap_or_default();
        let mut checksums = BTreeMap::new();
        for (algorithm, claimed) in &self.checksums {
            let Some(sum) = of(&sums, algorithm) else { continue };
            let name = format!("x-amz-checksum-{algorithm}");
            let trailer = trailers.get(&name).and_then(|value| value.to_str().ok()).map(str::trim);
            let missing = self.trailing.contains(algorithm) && trailer.is_none();
            let wrong = claimed.as_deref().into_iter().chain(trailer).any(|claimed| claimed != sum);
            if missing || wrong {
                return Err(s3_error!(BadDigest, "the content is not what {name} says"));
            }
            checksums.insert((*algorithm).to_owned(), sum.clone());
        }
        let etag = md5.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Outcome { etag, checksums })
    }
}

impl Digests {
    /// Counts these bytes in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.hasher.update(bytes);
    }
}

/// The checksums of a record as s3s has them.
pub(super) fn shown(checksums: &BTreeMap<String, String>) -> dto::Checksum {
    let of = |algorithm: &str| checksums.get(algorithm).cloned();
    dto::Checksum {
        checksum_crc32: of("crc32"),
        checksum_crc32c: of("crc32c"),
        checksum_crc64nvme: of("crc64nvme"),
        checksum_sha1: of("sha1"),
        checksum_sha256: of("sha256"),
        checksum_type: (!checksums.is_empty()).then(|| dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT)),
    }
}

fn known(algorithm: &str) -> Option<&'static str> {
    ALGORITHMS.into_iter().find(|known| *known == algorithm)
}

fn of<'a>(sums: &'a dto::Checksum, algorithm: &str) -> Option<&'a String> {
    match algorithm {
        "crc32" => sums.checksum_crc32.as_ref(),
        "crc32c" => sums.checksum_crc32c.as_ref(),
        "crc64nvme" => sums.checksum_crc64nvme.as_ref(),
        "sha1" => sums.checksum_sha1.as_ref(),
        "sha256" => sums.checksum_sha256.as_ref(),
        _ => None,
    }
}
