//! Looking at the S3 for an operator: what the server does with it, and what browsers do.
//! Promise: the probe is removed again, and nothing else is touched.

use std::{error::Error, time::Duration};

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
};
use chrono::{DateTime, TimeDelta};
use reqwest::{Client, Method, Response, header::HeaderMap};

use super::{PutGrant, Storage, StorageError};
use crate::platform::{clock::Clock, examine::Finding, random::Random, secret};

/// What is put.
const PROBE: &[u8] = b"Put here by `spacedly doctor`, which removes it again.";
/// How far the clocks may be apart: S3 refuses signatures that are more than 15 minutes off.
const DRIFT: TimeDelta = TimeDelta::seconds(60);

impl Storage {
    /// Looks at the bucket: put, get and delete by us, put by a signed URL, and from a page of each front end.
    pub async fn examine(&self, clock: &Clock, random: &Random, patience: Duration) -> Vec<Finding> {
        let bucket = &self.0.bucket;
        if let Err(error) = self.0.client.head_bucket().bucket(bucket).send().await {
            return vec![self.no_bucket(&error)];
        }
        let key = format!("doctor/{}", secret::hex(&random.bytes::<16>()));
        let mut found = vec![self.ours(&key).await];
        let client = Client::builder().timeout(patience).redirect(reqwest::redirect::Policy::none()).build();
        match client {
            Ok(client) => found.extend(self.browsers(&client, clock, &key).await),
            Err(error) => found.push(Finding::warn("files: a browser's way cannot be tried", error.to_string())),
        }
        if self.delete(&key).await.is_err() {
            found.push(Finding::fail(
                format!("files: {key} cannot be removed from {bucket}"),
                "give the key s3:DeleteObject, and remove it by hand",
            ));
        }
        found
    }

    fn no_bucket<E: ProvideErrorMetadata + Error + 'static>(&self, error: &SdkError<E>) -> Finding {
        let bucket = &self.0.bucket;
        match error.raw_response().map(|response| response.status().as_u16()) {
            Some(404) => Finding::warn(
                format!("files: there is no bucket {bucket} yet"),
                "the server makes it when it starts, if its key has s3:CreateBucket; else make it and mend S3_BUCKET",
            ),
            Some(401 | 403) => Finding::fail(
                format!("files: the S3 refuses our key for the bucket {bucket}"),
                "mend S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_REGION, or give the key s3:ListBucket",
            ),
            Some(301 | 307 | 308) => Finding::fail(
                format!("files: the bucket {bucket} is in another region"),
                "mend S3_REGION and S3_ENDPOINT",
            ),
            Some(status) => {
                Finding::fail(format!("files: the S3 answers {status}"), "mend S3_ENDPOINT, or look at the S3")
            }
            None => Finding::fail(
                format!("files: the S3 cannot be reached ({})", reason(error)),
                "start it, mend S3_ENDPOINT, or let SSL_CERT_FILE name the authority that it has its certificate from",
            ),
        }
    }

    /// Putting and getting by our own hand.
    async fn ours(&self, key: &str) -> Finding {
        let bucket = &self.0.bucket;
        let sum = secret::sha256(PROBE);
        let put = self.put_body(key, "text/plain", ByteStream::from_static(PROBE), PROBE.len() as u64, &sum).await;
        if put.is_err() {
            return Finding::fail(format!("files: nothing can be put into {bucket}"), "give the key s3:PutObject");
        }
        let got = match self.0.client.get_object().bucket(bucket).key(key).send().await {
            Ok(got) => got.body.collect().await.map(|body| body.into_bytes()).ok(),
            Err(_) => None,
        };
        match got {
            Some(bytes) if bytes == PROBE => Finding::ok(format!("files: put into {bucket} and got from there")),
            Some(_) => Finding::fail(format!("files: {bucket} gives back something else"), "look at what lies between"),
            None => Finding::fail(format!("files: nothing can be got from {bucket}"), "give the key s3:GetObject"),
        }
    }

    /// What browsers do by a signed URL: put, from the pages of the front ends.
    async fn browsers(&self, client: &Client, clock: &Clock, key: &str) -> Vec<Finding> {
        let signed = match self.presign(key).await {
            Ok(signed) => signed,
            Err(error) => return vec![Finding::fail("files: no URL can be signed", format!("{error:?}"))],
        };
        let mut request = client.request(Method::PUT, &signed.url).body(PROBE);
        for (name, value) in signed.headers.iter().filter(|(name, _)| !matches!(&**name, "host" | "content-length")) {
            request = request.header(name, value);
        }
        let mut found = match request.send().await {
            Ok(answer) => {
                let mut found = vec![taken(&answer)];
                found.extend(drift(clock, answer.headers()));
                found
            }
            Err(error) => vec![Finding::fail(
                // The URL opens the bucket: it is left out of the words.
                format!("files: browsers cannot reach the S3 ({})", reason(&error.without_url())),
                "set S3_PUBLIC_ENDPOINT to the address that browsers reach",
            )],
        };
        for origin in &self.0.origins {
            found.push(preflight(client, &signed.url, origin).await);
        }
        found
    }

    async fn presign(&self, key: &str) -> Result<super::PresignedPut, StorageError> {
        let (length, sha256) = (PROBE.len() as u64, &secret::sha256(PROBE)[..]);
        let lifetime = Duration::from_secs(60);
        self.presign_put(PutGrant { key, content_type: "text/plain", length, sha256, lifetime }).await
    }
}

/// What really happened: the last of an error's causes. The others say that something was sent.
fn reason(mut error: &(dyn Error + 'static)) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

fn taken(answer: &Response) -> Finding {
    match answer.status() {
        status if status.is_success() => Finding::ok("files: a signed URL takes an upload"),
        status => Finding::fail(
            format!("files: a signed URL takes no upload ({status})"),
            "S3_PUBLIC_ENDPOINT must lead to the same S3, with the host name unchanged, and the clocks must agree",
        ),
    }
}

fn drift(clock: &Clock, headers: &HeaderMap) -> Option<Finding> {
    let told = headers.get("date")?.to_str().ok()?;
    let theirs = DateTime::parse_from_rfc2822(told).ok()?.to_utc();
    let ours = clock.now() - clock.offset();
    let apart = (ours - theirs).abs();
    (apart > DRIFT).then(|| {
        let what = format!("clock: this machine and the S3 are {} s apart", apart.num_seconds());
        Finding::warn(what, "let both keep time by NTP: signed URLs are good by the clock of the S3")
    })
}

/// Asks as a browser does before it puts from a page of this origin (Fetch standard, CORS-preflight fetch).
async fn preflight(client: &Client, url: &str, origin: &str) -> Finding {
    // Of an object that is not there: what the rules let in has nothing to do with it, and some look at it first.
    let url = format!("{}-preflight", url.split('?').next().unwrap_or_default());
    let asked = client
        .request(Method::OPTIONS, url)
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,x-amz-checksum-sha256");
    let lets_in = asked.send().await.is_ok_and(|answer| {
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let methods = header("access-control-allow-methods");
        let origins = header("access-control-allow-origin");
        let puts = methods.split(',').any(|method| matches!(method.trim(), "PUT" | "*"));
        answer.status().is_success() && puts && (origins == "*" || origins == origin)
    });
    if lets_in {
        return Finding::ok(format!("files: pages of {origin} may upload (CORS)"));
    }
    Finding::fail(
        format!("files: pages of {origin} may not upload (CORS)"),
        "start the server once with a key that has s3:PutBucketCORS, or allow PUT, GET and HEAD with any header there",
    )
}
