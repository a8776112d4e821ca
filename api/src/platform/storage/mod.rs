//! Objects in an S3: one code path for any S3, and for the store that runs in the process when none is set.
//! Promise: what was put whole is there; the digest of every object is checked where it arrives; a URL that is handed
//! out allows what it was made for and nothing else.

mod client;
mod embedded;
mod examine;
mod presign;

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::{ByteStream, SdkBody},
    types::{BucketLocationConstraint, CorsConfiguration, CorsRule, CreateBucketConfiguration},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::{
    embedded::{EmbeddedStore, keep_all},
    presign::{Disposition, PresignedPut, PutGrant},
};
use super::{
    clock::Instant,
    config::Config,
    error::Fault,
    jobs::Failure,
    secret::Secrets,
    spool::{Spool, SpoolError, SpoolWriter},
};

/// Where objects lie. Cheap to clone.
#[derive(Clone)]
pub struct Storage(Arc<Parts>);

struct Parts {
    client: Client,
    /// Signs URLs for browsers, which may know the store by another address than we do. The embedded store's address is
    /// known once the listener is.
    presigner: watch::Sender<Option<Client>>,
    bucket: String,
    /// The front ends, which put and get objects from their pages.
    origins: Vec<String>,
    embedded: Option<EmbeddedStore>,
    prepared: watch::Sender<bool>,
}

/// Why storage did not do it.
#[derive(Debug)]
pub enum StorageError {
    /// There is no such object.
    Missing,
    /// It is not what it should be: its digest is another.
    Broken,
    /// Storage does not answer, or refuses what it should not. The cause is for the log.
    Unavailable(String),
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its bytes.
    pub length: u64,
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    pub key: String,
    /// When it was last written, by the clock of the store.
    pub modified_at: Instant,
}

/// How long to wait before the bucket is tried again.
const PREPARE_AGAIN: Duration = Duration::from_secs(5);

impl Storage {
    /// The S3 of the configuration, or the store in the process.
    ///
    /// # Errors
    /// When the folder of the embedded store cannot be used; in words for an operator.
    pub fn from_config(config: &Config, secrets: &Secrets) -> Result<Self, String> {
        let (embedded, client, presigner) = match &config.storage.endpoint {
            Some(endpoint) => {
                let public = config.storage.public_endpoint.as_ref().unwrap_or(endpoint);
                (None, client::external(config, endpoint), Some(client::external(config, public)))
            }
            None => {
                let store = client::open_embedded(config, secrets)?;
                let client = client::embedded(config, secrets, &store, client::NOWHERE);
                (Some(store), client, None)
            }
        };
        Ok(Self(Arc::new(Parts {
            client,
            presigner: watch::Sender::new(presigner),
            bucket: config.storage.bucket.clone(),
            origins: config.allowed_origins(),
            embedded,
            prepared: watch::Sender::new(false),
        })))
    }

    /// The store in the process with its bucket, to be served under the bucket's name. None: there is an S3.
    pub fn embedded(&self) -> Option<(&EmbeddedStore, &str)> {
        self.0.embedded.as_ref().map(|store| (store, self.0.bucket.as_str()))
    }

    /// Says at which address the embedded store is reached from outside.
    pub fn served_at(&self, config: &Config, secrets: &Secrets, public_url: &str) {
        if let Some(store) = &self.0.embedded {
            self.0.presigner.send_replace(Some(client::embedded(config, secrets, store, public_url)));
        }
    }

    /// Makes the bucket where it is missing, and lets the front ends in. Tries until it is done or `stop`.
    pub async fn prepare(&self, stop: CancellationToken) {
        while let Err(error) = self.try_to_prepare().await {
            tracing::warn!(?error, bucket = self.0.bucket, "the bucket is not ready; it is tried again");
            if stop.run_until_cancelled(tokio::time::sleep(PREPARE_AGAIN)).await.is_none() {
                return;
            }
        }
        self.0.prepared.send_replace(true);
    }

    async fn try_to_prepare(&self) -> Result<(), StorageError> {
        let (client, bucket) = (&self.0.client, &self.0.bucket);
        if let Err(error) = client.head_bucket().bucket(bucket).send().await {
            match StorageError::of_head(error) {
                StorageError::Missing => {
                    let made = client.create_bucket().bucket(bucket).set_create_bucket_configuration(self.place());
                    let made = made.send().await;
                    // Another instance may have been faster.
                    if let Err(error) = made
                        && client.head_bucket().bucket(bucket).send().await.is_err()
                    {
                        return Err(StorageError::of(error));
                    }
                }
                other => return Err(other),
            }
        }
        if let Err(error) = self.let_front_ends_in().await {
            // Some stores set it for the whole server (MinIO), and some keys may not: uploads by our own hand work.
            tracing::warn!(?error, bucket, "CORS of the bucket cannot be set: allow the front end's origin there");
        }
        Ok(())
    }

    /// Where a new bucket is to lie. None: where the store puts it (in us-east-1 AWS takes no other answer).
    fn place(&self) -> Option<CreateBucketConfiguration> {
        let region = self.0.client.config().region().map(ToString::to_string).unwrap_or_default();
        let elsewhere = self.0.embedded.is_none() && !matches!(region.as_str(), "" | "us-east-1" | "auto");
        let constraint = BucketLocationConstraint::from(region.as_str());
        elsewhere.then(|| CreateBucketConfiguration::builder().location_constraint(constraint).build())
    }

    /// Adds a rule for the front ends to those that the bucket has, unless one lets them in already.
    async fn let_front_ends_in(&self) -> Result<(), StorageError> {
        let (client, bucket) = (&self.0.client, &self.0.bucket);
        let there = client.get_bucket_cors().bucket(bucket).send().await;
        let mut rules = match there {
            Ok(cors) => cors.cors_rules.unwrap_or_default(),
            Err(error) if error.code() == Some("NoSuchCORSConfiguration") => Vec::new(),
            // Rules that cannot be seen must not be replaced.
            Err(error) => return Err(StorageError::of(error)),
        };
        let lets_in = |rule: &CorsRule| {
            let all = |wanted: &[String], given: &[String]| wanted.iter().all(|it| given.contains(it));
            all(&self.0.origins, &rule.allowed_origins) && rule.allowed_methods.iter().any(|method| method == "PUT")
        };
        if rules.iter().any(lets_in) {
            return Ok(());
        }
        let built = |error: aws_sdk_s3::error::BuildError| StorageError::Unavailable(error.to_string());
        let rule = CorsRule::builder()
            .set_allowed_origins(Some(self.0.origins.clone()))
            .set_allowed_methods(Some(vec!["GET".into(), "HEAD".into(), "PUT".into()]))
            .allowed_headers("*")
            .expose_headers("ETag")
            .max_age_seconds(600)
            .build();
        rules.push(rule.map_err(built)?);
        let rules = CorsConfiguration::builder().set_cors_rules(Some(rules)).build().map_err(built)?;
        let set = client.put_bucket_cors().bucket(bucket).cors_configuration(rules).send().await;
        set.map(drop).map_err(StorageError::of)
    }

    /// Whether the bucket answers.
    ///
    /// # Errors
    /// Why not.
    pub async fn ping(&self) -> Result<(), StorageError> {
        if !*self.0.prepared.borrow() {
            return Err(StorageError::Unavailable("the bucket is not ready".into()));
        }
        let asked = self.0.client.head_bucket().bucket(&self.0.bucket).send().await;
        asked.map(drop).map_err(StorageError::of_head)
    }

    /// Puts bytes that were spooled. Whatever the object was before, it is this afterwards.
    ///
    /// # Errors
    /// When storage does not take them.
    pub async fn put(&self, key: &str, content_type: &str, spool: &Spool) -> Result<(), StorageError> {
        let again = spool.clone();
        let body = SdkBody::retryable(move || {
            use futures_util::StreamExt;
            SdkBody::from_body_1_x(StreamBody::new(again.stream().map(|piece| piece.map(Frame::data))))
        });
        self.put_body(key, content_type, ByteStream::new(body), spool.length, &spool.sha256).await
    }

    /// Puts bytes that are in memory.
    ///
    /// # Errors
    /// When storage does not take them.
    pub async fn put_bytes(&self, key: &str, content_type: &str, bytes: Bytes) -> Result<(), StorageError> {
        let (length, sha256) = (bytes.len() as u64, super::secret::sha256(&bytes));
        self.put_body(key, content_type, ByteStream::from(bytes), length, &sha256).await
    }

    async fn put_body(
        &self,
        key: &str,
        content_type: &str,
        body: ByteStream,
        length: u64,
        sha256: &[u8; 32],
    ) -> Result<(), StorageError> {
        let put = self.0.client.put_object().bucket(&self.0.bucket).key(key).body(body);
        let put = put.content_type(content_type).content_length(i64::try_from(length).unwrap_or(i64::MAX));
        put.checksum_sha256(BASE64.encode(sha256)).send().await.map(drop).map_err(StorageError::of)
    }

    /// Fetches an object to the disk of this folder.
    ///
    /// # Errors
    /// When it is not there, longer than `most`, or storage fails.
    pub async fn fetch(&self, key: &str, folder: &std::path::Path, most: u64) -> Result<Spool, StorageError> {
        let got = self.0.client.get_object().bucket(&self.0.bucket).key(key).send().await;
        let mut body = got.map_err(StorageError::of)?.body;
        let failed = |error: std::io::Error| StorageError::Unavailable(format!("the spool: {error}"));
        let mut spool = SpoolWriter::new(folder, most).await.map_err(failed)?;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| StorageError::Unavailable(error.to_string()))?;
            match spool.write(&piece).await {
                Ok(()) => {}
                Err(SpoolError::TooLong) => return Err(StorageError::Broken),
                Err(SpoolError::Io(error)) => return Err(failed(error)),
            }
        }
        spool.finish().await.map_err(failed)
    }

    /// What is known of an object. None: it is not there.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, StorageError> {
        match self.0.client.head_object().bucket(&self.0.bucket).key(key).send().await.map_err(StorageError::of_head) {
            Ok(head) => {
                Ok(Some(Head { length: head.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0) }))
            }
            Err(StorageError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        match self.0.client.delete_object().bucket(&self.0.bucket).key(key).send().await.map_err(StorageError::of) {
            Ok(_) | Err(StorageError::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next objects after a key, in the order of their keys; none when there are no more.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn list(&self, prefix: &str, after: Option<String>) -> Result<Vec<Listed>, StorageError> {
        let list = self.0.client.list_objects_v2().bucket(&self.0.bucket).prefix(prefix);
        let page = list.set_start_after(after).send().await.map_err(StorageError::of)?;
        let listed = page.contents().iter().filter_map(|object| {
            let at = object.last_modified()?;
            let modified_at = Instant::from_timestamp(at.secs(), at.subsec_nanos())?;
            Some(Listed { key: object.key()?.to_owned(), modified_at })
        });
        Ok(listed.collect())
    }
}

impl StorageError {
    fn of<E>(error: SdkError<E>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        // Only what says that this object is not there. A bucket that is not there, or a proxy's 404, says nothing of it.
        match error.code() {
            Some("NoSuchKey") => Self::Missing,
            _ => Self::Unavailable(DisplayErrorContext(&error).to_string()),
        }
    }

    /// The same of an answer to HEAD, which has no body to name a code in.
    fn of_head<E>(error: SdkError<E>) -> Self
    where
        E: std::error::Error + 'static,
    {
        match error.raw_response().map(|response| response.status().as_u16()) {
            Some(404) => Self::Missing,
            _ => Self::Unavailable(DisplayErrorContext(&error).to_string()),
        }
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Unavailable(format!("storage: {error:?}"))
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        tracing::warn!(?error, "a job met trouble in storage");
        Self::Unreachable("The storage of files did not answer.".into())
    }
}
