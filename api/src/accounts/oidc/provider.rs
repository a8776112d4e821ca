//! The OpenID provider: what it says of itself, and the exchange of a code for what it vouches for.
//! Promise: nothing it says is believed that is not signed for us, for this round, and fresh.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims, CoreJwsSigningAlgorithm as Alg, CoreProviderMetadata,
    },
};
use poem::http;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use crate::platform::{Platform, clock::Instant, error::Fault};

/// How long what the provider says of itself is kept.
const METADATA_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// How old it must be to be asked again because a key is unknown.
const METADATA_LEAST: TimeDelta = TimeDelta::seconds(30);
/// How long a provider that did not answer is not asked again.
const AWAY: TimeDelta = TimeDelta::seconds(3);
/// Bytes of one of its answers.
const ANSWER_LIMIT: usize = 1_000_000;
/// By how much its clock may differ from ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

/// A provider that people may come from.
pub(in crate::accounts) struct Provider {
    platform: Platform,
    http: reqwest::Client,
    client_id: String,
    known: Mutex<Option<(CoreProviderMetadata, Instant)>>,
    /// Not asked again until then: it did not answer.
    away_until: std::sync::Mutex<Option<Instant>>,
}

/// The secrets of one round, which follow from its state.
pub(super) struct Round {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// What the provider vouches for.
pub(super) struct Vouched {
    pub(super) issuer: String,
    pub(super) subject: String,
    /// None: it told none, or did not say that it has verified it.
    pub(super) verified_email: Option<String>,
    pub(super) name: Option<String>,
    /// When the person proved to the provider who they are. None: it did not tell.
    pub(super) authenticated_at: Option<Instant>,
}

/// Why a round came to nothing. For the log; the person only hears that it did not work.
#[derive(Debug)]
pub(super) struct Failed(pub(super) String);

impl Provider {
    /// By the configuration. None: nobody can come from one.
    ///
    /// # Errors
    /// When the HTTP client cannot be made; in words for an operator.
    pub(in crate::accounts) fn from_config(platform: &Platform) -> Result<Option<Self>, String> {
        let oidc = &platform.config.oidc;
        let Some(client_id) = oidc.client_id.clone() else { return Ok(None) };
        // No redirects: an answer that leads elsewhere could reach inside our network.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(oidc.timeout)
            .connect_timeout(oidc.timeout.min(Duration::from_secs(5)))
            .build()
            .map_err(|e| format!("the HTTP client for OIDC_ISSUER cannot be made: {e}"))?;
        Ok(Some(Self {
            platform: platform.clone(),
            http,
            client_id,
            known: Mutex::default(),
            away_until: Default::default(),
        }))
    }

    /// Where to send the browser.
    pub(super) async fn authorization_url(
        &self,
        round: &Round,
        redirect_uri: &str,
        again: bool,
    ) -> Result<String, Failed> {
        let metadata = self.metadata(METADATA_LIFETIME).await?;
        let client = self.client(metadata, redirect_uri)?;
        let verifier = PkceCodeVerifier::new(round.verifier.clone());
        let (state, nonce) = (round.state.clone(), round.nonce.clone());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scope(Scope::new("email".into()))
            .add_scope(Scope::new("profile".into()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if again {
            // Google tells when the person proved who they are only to whom asks for it by name (Core section 5.5).
            request = request
                .set_max_age(Duration::ZERO)
                .add_extra_param("claims", r#"{"id_token":{"auth_time":{"essential":true}}}"#);
        }
        Ok(request.url().0.into())
    }

    /// Exchanges a code, and checks what comes for it (OpenID Connect Core section 3.1.3.7).
    pub(super) async fn exchange(&self, code: String, round: Round, redirect_uri: &str) -> Result<Vouched, Failed> {
        let metadata = self.metadata(METADATA_LIFETIME).await?;
        let client = self.client(metadata.clone(), redirect_uri)?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|e| Failed(format!("the provider names no token endpoint: {e}")))?
            .set_pkce_verifier(PkceCodeVerifier::new(round.verifier))
            .request_async(&|request| call(self.http.clone(), request))
            .await
            .map_err(|e| Failed(format!("the code was not taken: {}", causes(&e))))?;
        let token = answer.id_token().ok_or_else(|| Failed("the provider gave no id token".into()))?;
        let nonce = Nonce::new(round.nonce);
        let metadata = match self.check(metadata.clone(), redirect_uri, token, &nonce) {
            Ok(vouched) => return Ok(vouched),
            // Its keys may have been rotated since.
            Err(openidconnect::ClaimsVerificationError::SignatureVerification(_)) => {
                self.metadata(METADATA_LEAST).await?
            }
            Err(error) => return Err(Failed(format!("the id token is not good: {}", causes(&error)))),
        };
        self.check(metadata, redirect_uri, token, &nonce)
            .map_err(|error| Failed(format!("the id token is not good: {}", causes(&error))))
    }

    fn check(
        &self,
        metadata: CoreProviderMetadata,
        redirect_uri: &str,
        token: &openidconnect::core::CoreIdToken,
        nonce: &Nonce,
    ) -> Result<Vouched, openidconnect::ClaimsVerificationError> {
        use openidconnect::ClaimsVerificationError as Wrong;
        let client = self.client(metadata, redirect_uri).map_err(|e| Wrong::Other(e.0))?;
        let now = self.platform.clock.now();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs([
                Alg::RsaSsaPkcs1V15Sha256,
                Alg::RsaSsaPkcs1V15Sha384,
                Alg::RsaSsaPkcs1V15Sha512,
                Alg::RsaSsaPssSha256,
                Alg::RsaSsaPssSha384,
                Alg::RsaSsaPssSha512,
                Alg::EcdsaP256Sha256,
                Alg::EcdsaP384Sha384,
                Alg::EdDsa,
            ])
            .set_time_fn(move || now)
            .set_issue_time_verifier_fn(move |issued_at| {
                let ahead = issued_at - now > LEEWAY;
                let stale = now - issued_at > TimeDelta::minutes(10);
                if ahead || stale { Err("iat is not of this round".into()) } else { Ok(()) }
            });
        let claims: &CoreIdTokenClaims = token.claims(&verifier, nonce)?;
        // Section 3.1.3.7, step 5: whom it was issued to, where that is said.
        if claims.authorized_party().is_some_and(|party| party.as_str() != self.client_id) {
            return Err(Wrong::Other("azp is another client".into()));
        }
        let email = claims.email().filter(|_| claims.email_verified() == Some(true));
        Ok(Vouched {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            verified_email: email.map(|email| email.to_string()),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
            authenticated_at: claims.auth_time(),
        })
    }

    fn client(
        &self,
        metadata: CoreProviderMetadata,
        redirect_uri: &str,
    ) -> Result<
        CoreClient<
            openidconnect::EndpointSet,
            openidconnect::EndpointNotSet,
            openidconnect::EndpointNotSet,
            openidconnect::EndpointNotSet,
            openidconnect::EndpointMaybeSet,
            openidconnect::EndpointMaybeSet,
        >,
        Failed,
    > {
        let secret = self.platform.config.oidc.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|e| Failed(format!("PUBLIC_URL: {e}")))?;
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new(self.client_id.clone()), secret);
        Ok(client.set_redirect_uri(redirect_uri))
    }

    /// What the provider says of itself, not older than this. One request at a time asks it.
    async fn metadata(&self, at_most: TimeDelta) -> Result<CoreProviderMetadata, Failed> {
        let mut known = self.known.lock().await;
        let now = self.platform.clock.now();
        if let Some((metadata, at)) = known.as_ref().filter(|(_, at)| now - *at < at_most) {
            let _ = at;
            return Ok(metadata.clone());
        }
        // Whoever waited for the lock meanwhile need not find out for themselves.
        if self.away_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until) {
            return Err(Failed("the provider did not answer a moment ago".into()));
        }
        let issuer = IssuerUrl::new(self.platform.config.oidc.issuer.clone())
            .map_err(|e| Failed(format!("OIDC_ISSUER: {e}")))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &|request| call(self.http.clone(), request))
            .await
            .map_err(|e| Failed(format!("the provider does not tell of itself: {}", causes(&e))));
        match metadata {
            Ok(metadata) => {
                *known = Some((metadata.clone(), now));
                Ok(metadata)
            }
            Err(failed) => {
                *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + AWAY);
                Err(failed)
            }
        }
    }
}

/// An error with what caused it. Neither tokens nor addresses are in these.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().take(300).collect()
}

/// An HTTP call of the library, by our client, with a bounded answer.
async fn call(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, CallFailed> {
    let request = reqwest::Request::try_from(request).map_err(CallFailed::new)?;
    let mut answer = http.execute(request).await.map_err(CallFailed::new)?;
    let mut response = http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(CallFailed::new)? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(CallFailed(Arc::from("the answer is too long")));
        }
        body.extend_from_slice(&chunk);
    }
    response.body(body).map_err(CallFailed::new)
}

/// A call that came to nothing.
#[derive(Clone, Debug)]
struct CallFailed(Arc<str>);

impl CallFailed {
    fn new(error: impl std::error::Error) -> Self {
        Self(error.to_string().into())
    }
}

impl std::fmt::Display for CallFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CallFailed {}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        Self::Unavailable(failed.0)
    }
}
