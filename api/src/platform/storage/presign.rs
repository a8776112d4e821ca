//! URLs that browsers use without us (AWS Signature Version 4, query parameters).

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{Storage, StorageError};

/// What a PUT by a presigned URL must be, to the byte.
#[derive(Clone, Debug)]
pub struct PutGrant<'a> {
    pub key: &'a str,
    pub content_type: &'a str,
    /// In bytes.
    pub length: u64,
    pub sha256: &'a [u8],
    /// How long the URL is good for.
    pub lifetime: Duration,
}

/// A URL to PUT to, with the headers that must come along: they are signed.
#[derive(Clone, Debug)]
pub struct PresignedPut {
    pub url: String,
    pub headers: Vec<(String, String)>,
}

/// What a browser does with what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition<'a> {
    /// Shows it.
    Inline(&'a str),
    /// Saves it under this name, whatever it is.
    Attachment(&'a str),
}

impl Storage {
    /// A URL to PUT one object to: of this size and type, with these bytes.
    ///
    /// # Errors
    /// When the address of the store is not known yet.
    pub async fn presign_put(&self, grant: PutGrant<'_>) -> Result<PresignedPut, StorageError> {
        let put = self.presigner()?.put_object().bucket(&self.0.bucket).key(grant.key);
        let put = put
            .content_type(grant.content_type)
            .content_length(i64::try_from(grant.length).unwrap_or(i64::MAX))
            .checksum_sha256(BASE64.encode(grant.sha256));
        let signed = put.presigned(until(grant.lifetime)?).await.map_err(StorageError::of)?;
        let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(PresignedPut { url: signed.uri().to_owned(), headers })
    }

    /// A URL to GET one object from.
    ///
    /// # Errors
    /// When the address of the store is not known yet.
    pub async fn presign_get(
        &self,
        key: &str,
        content_type: &str,
        disposition: Disposition<'_>,
        lifetime: Duration,
    ) -> Result<String, StorageError> {
        let get = self.presigner()?.get_object().bucket(&self.0.bucket).key(key);
        let get = get.response_content_type(content_type).response_content_disposition(disposition.header());
        let signed = get.presigned(until(lifetime)?).await.map_err(StorageError::of)?;
        Ok(signed.uri().to_owned())
    }

    fn presigner(&self) -> Result<aws_sdk_s3::Client, StorageError> {
        let known = self.0.presigner.borrow().clone();
        known.ok_or_else(|| StorageError::Unavailable("the address of the embedded store is not known yet".into()))
    }
}

/// The store compares with its own clock, which is the machine's: so does the library that signs.
fn until(lifetime: Duration) -> Result<PresigningConfig, StorageError> {
    PresigningConfig::expires_in(lifetime).map_err(|error| StorageError::Unavailable(error.to_string()))
}

impl Disposition<'_> {
    /// The header's value (RFC 6266): the name in ASCII for old clients, and as it is (RFC 8187) for all others.
    pub fn header(self) -> String {
        let (kind, name) = match self {
            Self::Inline(name) => ("inline", name),
            Self::Attachment(name) => ("attachment", name),
        };
        // RFC 6266 appendix D: a percent sign or a backslash in the plain form is read differently by each client.
        let plain = |c: char| if c.is_ascii_graphic() && !"\"\\%".contains(c) || c == ' ' { c } else { '_' };
        let ascii: String = name.chars().map(plain).collect();
        let mut whole = String::with_capacity(name.len() * 3);
        for byte in name.bytes() {
            // RFC 8187 section 3.2.1: attr-char.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                whole.push(char::from(byte));
            } else {
                whole.push_str(&format!("%{byte:02X}"));
            }
        }
        format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{whole}")
    }
}

#[cfg(test)]
mod tests {
    use super::Disposition;

    #[test]
    fn a_name_of_any_language_is_told_in_both_forms() {
        assert_eq!(
            Disposition::Attachment("Überblick \"2027\" 50%.pdf").header(),
            "attachment; filename=\"_berblick _2027_ 50_.pdf\"; \
             filename*=UTF-8''%C3%9Cberblick%20%222027%22%2050%25.pdf"
        );
        assert_eq!(Disposition::Inline("a.webp").header(), "inline; filename=\"a.webp\"; filename*=UTF-8''a.webp");
    }
}
