//! The client of an S3, and of the store in the process, which is the same with another connector.

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, timeout::TimeoutConfig,
    },
};
use secrecy::ExposeSecret;

use super::embedded::{EmbeddedStore, Limits};
use crate::platform::{
    config::Config,
    secret::{Secrets, hex},
};

/// The address under which the embedded store is asked from within: nothing is sent there.
pub(super) const NOWHERE: &str = "http://storage.invalid";
/// The name under which we sign for the embedded store.
const OWN_ACCESS_KEY: &str = "spacedly";

/// The client of the S3 at this address.
pub(super) fn external(config: &Config, endpoint: &str) -> Client {
    let storage = &config.storage;
    let secret = storage.secret_access_key.as_ref().map(|secret| secret.expose_secret()).unwrap_or_default();
    let access_key = storage.access_key_id.as_deref().unwrap_or_default();
    let credentials = Credentials::new(access_key, secret, None, None, "settings");
    Client::from_conf(common(config, endpoint, credentials).force_path_style(storage.path_style).build())
}

/// The client of the store in the process; `endpoint` is what it signs for.
pub(super) fn embedded(config: &Config, secrets: &Secrets, store: &EmbeddedStore, endpoint: &str) -> Client {
    let credentials = Credentials::new(OWN_ACCESS_KEY, own_secret(secrets), None, None, "embedded");
    let common = common(config, endpoint, credentials).force_path_style(true);
    Client::from_conf(common.http_client(store.connector()).build())
}

/// Opens the store in the process.
pub(super) fn open_embedded(config: &Config, secrets: &Secrets) -> Result<EmbeddedStore, String> {
    let folder = config.server.data_dir.join("objects");
    let limits = Limits { object: config.storage.file_limit };
    EmbeddedStore::open(folder, OWN_ACCESS_KEY.to_owned(), own_secret(secrets).into(), limits)
}

fn own_secret(secrets: &Secrets) -> String {
    hex(&secrets.derive("embedded store"))
}

fn common(config: &Config, endpoint: &str, credentials: Credentials) -> Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.storage.timeout)
        .operation_attempt_timeout(config.storage.timeout)
        .operation_timeout(config.storage.timeout * 3)
        .build();
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(config.storage.region.clone()))
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .timeout_config(timeouts)
        // A store that is slow to acknowledge is given S3_TIMEOUT, like any other answer.
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().upload_enabled(false).build())
        // We send the SHA-256 ourselves; other checksums would have to be signed into browsers' URLs.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}
