//! OpenID Connect (Core 1.0): code flow with PKCE (RFC 7636), a state bound to the browser, a nonce, each round once.
//! Promise: an identity opens the account that it was linked to and no other; an address that the provider has not
//! verified links to nothing.

mod provider;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::TimeDelta;
use entity::{
    IdentityId, UserId, account_mail, identity,
    oidc_round::{self as row, Purpose},
    user,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};

pub(super) use self::provider::Provider;
use self::provider::{Failed, Round, Vouched};
use super::{
    Accounts, NewPerson,
    attempts::{Attempt, Named},
    login::{LoggedIn, Reauthenticated},
    mails, make_person,
    rules::{Email, Name},
    session::{lock_fresh, lock_person},
};
use crate::platform::{
    clock::{Instant, span},
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input,
    scalars::DateTime,
    secret,
    viewer::{Origin, Viewer},
};

/// The cookie that binds a round to the browser which began it.
pub const ROUND_COOKIE: &str = "oidcRound";

/// A browser that is to be sent to the provider.
pub struct Departure {
    /// Where to.
    pub url: String,
    /// The `Set-Cookie` value that binds the round to it.
    pub cookie: String,
}

/// A browser that came back: what it brings.
#[derive(Default)]
pub struct Return {
    pub code: Option<String>,
    pub state: Option<String>,
    /// RFC 9207: who answered.
    pub issuer: Option<String>,
    pub error: Option<String>,
    /// The cookie of the round.
    pub browser: Option<String>,
}

/// Where a browser that came back goes now: a path of the front end, and cookies.
pub struct Arrival {
    pub path: String,
    pub cookies: Vec<String>,
}

/// What a round came to.
enum Settled {
    LoggedIn(LoggedIn),
    Linked,
    Proven(Reauthenticated),
}

impl Accounts {
    /// Whether people can come from a provider at all.
    pub fn has_provider(&self) -> bool {
        self.provider.is_some()
    }

    /// Begins a login at the provider.
    ///
    /// # Errors
    /// When the provider does not answer, or the database fails.
    pub async fn depart(&self, browser: Option<&str>, origin: &Origin) -> Result<Departure, Fault> {
        self.count(Attempt::Oidc, Named::Nobody, origin).await?;
        self.begin_round(Purpose::Login, None, browser).await
    }

    /// Begins a round for somebody who is logged in.
    pub(super) async fn depart_as(
        &self,
        viewer: Viewer,
        purpose: Purpose,
        origin: &Origin,
    ) -> Result<Departure, Refusal> {
        self.count(Attempt::Oidc, Named::Person(viewer.user_id), origin).await?;
        if purpose == Purpose::Link {
            // Looked at again when the person is back.
            self.must_be_fresh(viewer).await?;
        }
        Ok(self.begin_round(purpose, Some(viewer), None).await?)
    }

    async fn begin_round(
        &self,
        purpose: Purpose,
        viewer: Option<Viewer>,
        browser: Option<&str>,
    ) -> Result<Departure, Fault> {
        let provider = self.provider.as_ref().ok_or(Fault::NotFound("provider: OIDC_CLIENT_ID is not set"))?;
        let round = self.round(BASE64.encode(self.platform.random.bytes::<32>()));
        // A browser with several tabs keeps one cookie for all of its rounds.
        let browser = browser.filter(|value| BASE64.decode(value).is_ok_and(|bytes| bytes.len() == 32));
        let browser = browser.map_or_else(|| BASE64.encode(self.platform.random.bytes::<32>()), str::to_owned);
        let again = purpose == Purpose::Reauthentication;
        let url = provider.authorization_url(&round, &self.redirect_uri(), again).await?;
        let now = self.platform.clock.now();
        let expires_at = now + span(self.platform.config.oidc.round_lifetime);
        let new = row::ActiveModel {
            state_hash: Set(secret::sha256(round.state.as_bytes()).to_vec()),
            browser_hash: Set(secret::sha256(browser.as_bytes()).to_vec()),
            purpose: Set(purpose),
            user_id: Set(viewer.map(|viewer| viewer.user_id)),
            session_id: Set(viewer.map(|viewer| viewer.session_id)),
            expires_at: Set(expires_at),
            created_at: Set(now),
        };
        let insert = row::Entity::insert(new);
        self.platform
            .db
            .write::<_, Fault, _, _>(move |tx| async move { Ok(insert.exec_without_returning(&*tx).await.map(drop)?) })
            .await?;
        Ok(Departure { url, cookie: self.round_cookie(&browser, expires_at) })
    }

    /// It must come along when the provider sends the browser back: `Lax`, whatever the other cookies are.
    fn round_cookie(&self, browser: &str, until: Instant) -> String {
        self.cookie_for((ROUND_COOKIE, browser), "/auth", until, "Lax")
    }

    fn redirect_uri(&self) -> String {
        format!("{}/auth/google/callback", self.public_url().trim_end_matches('/'))
    }

    /// The secrets of a round follow from its state, so that they are stored nowhere.
    fn round(&self, state: String) -> Round {
        let derive = |purpose| BASE64.encode(self.platform.secrets.mac(purpose, &[state.as_bytes()]));
        Round { nonce: derive("oidc-nonce"), verifier: derive("oidc-pkce"), state }
    }

    /// Receives a browser that the provider sent back. Whatever goes wrong is told as one and the same.
    pub async fn arrive(self: &Arc<Self>, came: Return, origin: Origin) -> Arrival {
        let mut purpose = Purpose::Login;
        let outcome = self.arrive_or_fail(came, origin, &mut purpose).await;
        let place = match purpose {
            Purpose::Login => "/login",
            Purpose::Link | Purpose::Reauthentication => "/profile",
        };
        outcome.unwrap_or_else(|Failed(cause)| {
            tracing::info!(cause, "a round to the OpenID provider came to nothing");
            Arrival { path: format!("{place}?error=google_auth_failed"), cookies: Vec::new() }
        })
    }

    async fn arrive_or_fail(
        self: &Arc<Self>,
        came: Return,
        origin: Origin,
        purpose: &mut Purpose,
    ) -> Result<Arrival, Failed> {
        let fail = |what: &str| Failed(what.to_owned());
        let provider = self.provider.as_ref().ok_or_else(|| fail("no provider is configured"))?;
        let state = came.state.filter(|state| state.len() <= 100).ok_or_else(|| fail("no state"))?;
        let browser = came.browser.ok_or_else(|| fail("no cookie"))?;
        if self.count(Attempt::Oidc, Named::Nobody, &origin).await.is_err() {
            return Err(fail("too many from this address"));
        }
        let begun = self.take_round(&state, &browser).await?.ok_or_else(|| fail("no such round in this browser"))?;
        *purpose = begun.purpose;
        if came.error.is_some() {
            return Err(fail("the provider refused"));
        }
        if came.issuer.is_some_and(|issuer| issuer != self.platform.config.oidc.issuer) {
            return Err(fail("another issuer answered"));
        }
        let code = came.code.filter(|code| code.len() <= 4_096).ok_or_else(|| fail("no code"))?;
        let vouched = provider.exchange(code, self.round(state), &self.redirect_uri()).await?;
        let accounts = self.clone();
        let (login, asking) = (origin.clone(), begun);
        let arrived = self
            .platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move { accounts.settle(&tx, asking, vouched, &login).await })
            .await
            .map_err(|refusal| match refusal {
                // The code, not the message: it could show what the person wrote.
                Refusal::User(errors) => Failed(format!("{:?}", errors.first().map(|error| error.code))),
                Refusal::Fault(fault) => Failed(format!("{fault:?}")),
            })?;
        Ok(match arrived {
            Settled::LoggedIn(LoggedIn::Session(opened)) => {
                let device = self.device_cookie(opened.row.user_id, &origin);
                let cookies = self.cookies(&opened).into_iter().chain([device]).collect();
                Arrival { path: "/dashboard".into(), cookies }
            }
            Settled::LoggedIn(LoggedIn::Challenge(challenge)) => {
                Arrival { path: challenge_path("/login", &challenge), cookies: Vec::new() }
            }
            Settled::Linked => Arrival { path: "/profile?identity=linked".into(), cookies: Vec::new() },
            Settled::Proven(Reauthenticated::Session(_)) => {
                Arrival { path: "/profile?identity=reauthenticated".into(), cookies: Vec::new() }
            }
            Settled::Proven(Reauthenticated::Challenge(challenge)) => {
                Arrival { path: challenge_path("/profile", &challenge), cookies: Vec::new() }
            }
        })
    }

    /// Takes a round that began in this browser: once.
    async fn take_round(&self, state: &str, browser: &str) -> Result<Option<row::Model>, Failed> {
        let (state, browser) = (secret::sha256(state.as_bytes()).to_vec(), secret::sha256(browser.as_bytes()).to_vec());
        let now = self.platform.clock.now();
        let taken = self.platform.db.write::<_, Fault, _, _>(move |tx| async move {
            Ok(row::Entity::delete_many()
                .filter(row::Column::StateHash.eq(state))
                .filter(row::Column::BrowserHash.eq(browser))
                .exec_with_returning(&*tx)
                .await?)
        });
        let taken = taken.await.map_err(|fault| Failed(format!("{fault:?}")))?;
        Ok(taken.into_iter().next().filter(|round| round.expires_at > now))
    }

    /// Does what the round was for.
    async fn settle(&self, tx: &Tx, round: row::Model, vouched: Vouched, origin: &Origin) -> Result<Settled, Refusal> {
        let known = known_identity(tx, &vouched).await?;
        match round.purpose {
            Purpose::Login => {
                let person = match known {
                    Some(known) => {
                        let person = lock_person(tx, known.user_id).await?;
                        // It may have been unlinked while we waited for the person's row.
                        known_identity(tx, &vouched).await?.ok_or_else(another_account)?;
                        person
                    }
                    None => self.meet(tx, vouched).await?,
                };
                Ok(Settled::LoggedIn(self.pass_first_factor(tx, person, origin, false).await?))
            }
            Purpose::Link => {
                let viewer = viewer_of(&round)?;
                let (person, _) = lock_fresh(self, tx, viewer).await?;
                match known {
                    Some(known) if known.user_id == viewer.user_id => {}
                    Some(_) => return Err(another_account()),
                    None => {
                        self.link(tx, &person, &vouched).await?;
                        let kind = account_mail::Kind::IdentityLinked;
                        mails::enqueue(&self.platform, tx, &person, kind, None).await?;
                    }
                }
                Ok(Settled::Linked)
            }
            Purpose::Reauthentication => {
                let viewer = viewer_of(&round)?;
                let mine = known.is_some_and(|known| known.user_id == viewer.user_id);
                // The provider was told `max_age=0`: what it vouches for must be of this round.
                let fresh = vouched.authenticated_at.is_some_and(|at| at >= round.created_at - TimeDelta::seconds(60));
                if !mine || !fresh {
                    return Err(another_account());
                }
                let person = lock_person(tx, viewer.user_id).await?;
                known_identity(tx, &vouched).await?.ok_or_else(another_account)?;
                Ok(Settled::Proven(self.pass_first_factor_again(tx, viewer, &person).await?))
            }
        }
    }

    /// Somebody whose identity is not known yet: the owner of the verified address, or a new person.
    async fn meet(&self, tx: &Tx, vouched: Vouched) -> Result<user::Model, Refusal> {
        let unverified = "the provider has not verified the address";
        let email = vouched.verified_email.as_deref().ok_or(Fault::BadRequest(unverified.into()))?;
        let email = Email::parse(email)?;
        let found = user::Entity::find().filter(user::Column::EmailKey.eq(email.key())).one(&**tx).await?;
        let Some(found) = found else {
            let person = self.new_person(tx, &email, vouched.name.as_deref()).await?;
            self.link(tx, &person, &vouched).await?;
            return Ok(person);
        };
        // Every address of ours is verified, and now theirs is too.
        let person = lock_person(tx, found.id).await?;
        if person.email_key != email.key() {
            return Err(another_account());
        }
        self.link(tx, &person, &vouched).await?;
        mails::enqueue(&self.platform, tx, &person, account_mail::Kind::IdentityLinked, None).await?;
        Ok(person)
    }

    async fn new_person(&self, tx: &Tx, email: &Email, name: Option<&str>) -> Result<user::Model, Refusal> {
        let local = email.as_typed().split('@').next().unwrap_or_default();
        let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
        let named = name.map(cut).and_then(|name| Name::parse(&name).ok());
        let name = named.or_else(|| Name::parse(&cut(local)).ok());
        let new = NewPerson {
            name: name.map_or_else(|| "Somebody".to_owned(), |name| name.as_str().to_owned()),
            email: email.as_typed().to_owned(),
            email_key: email.key().to_owned(),
            password_hash: None,
        };
        let made = make_person(&self.platform, tx, new).await?;
        Ok(made.ok_or_else(|| Fault::Unavailable("an account with this address was made in the same instant".into()))?)
    }

    async fn link(&self, tx: &Tx, person: &user::Model, vouched: &Vouched) -> Result<(), Refusal> {
        let new = identity::ActiveModel {
            id: Set(IdentityId::from_uuid(self.platform.new_uuid())),
            user_id: Set(person.id),
            issuer: Set(vouched.issuer.clone()),
            subject: Set(vouched.subject.clone()),
            email: Set(vouched.verified_email.clone()),
            created_at: Set(self.platform.clock.now()),
        };
        Ok(new.insert(&**tx).await.map(drop)?)
    }

    /// The identities of a person, the oldest first.
    pub(super) async fn identities_of(&self, user_id: UserId) -> Result<Vec<identity::Model>, DbErr> {
        identity::Entity::visible_to(user_id)
            .order_by_asc(identity::Column::CreatedAt)
            .order_by_asc(identity::Column::Id)
            .all(self.platform.db.read())
            .await
    }

    /// Takes an identity away, if another way in remains.
    pub(super) async fn unlink_identity(self: &Arc<Self>, viewer: Viewer, id: &str) -> Result<IdentityId, Refusal> {
        let id = input::id::<IdentityId>("id", id)?;
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let mine = identity::Entity::visible_to(person.id).count(&*tx).await?;
                let found = identity::Entity::visible_to(person.id).filter(identity::Column::Id.eq(id)).one(&*tx);
                found.await?.ok_or(Fault::NotFound("identity"))?;
                if person.password_hash.is_none() && mine < 2 {
                    let message = "This is the only way into the account. Set a password first.";
                    return Err(UserError::at("id", Code::WrongState, message).into());
                }
                identity::Entity::delete_by_id(id).exec(&*tx).await?;
                Ok(id)
            })
            .await
    }
}

/// A page with what it needs to ask for the code, in the fragment: that goes to no server and into no log.
fn challenge_path(page: &str, challenge: &entity::challenge::Model) -> String {
    let method = match challenge.method {
        entity::second_factor::Method::Email => "EMAIL",
        entity::second_factor::Method::Totp => "TOTP",
    };
    let until = DateTime::text(challenge.expires_at);
    format!("{page}#challenge={}&method={method}&expiresAt={until}", challenge.id)
}

async fn known_identity(tx: &Tx, vouched: &Vouched) -> Result<Option<identity::Model>, DbErr> {
    identity::Entity::find()
        .filter(identity::Column::Issuer.eq(&vouched.issuer))
        .filter(identity::Column::Subject.eq(&vouched.subject))
        .one(&**tx)
        .await
}

fn viewer_of(round: &row::Model) -> Result<Viewer, Fault> {
    let viewer = round.user_id.zip(round.session_id).map(|(user_id, session_id)| Viewer { user_id, session_id });
    viewer.ok_or(Fault::Unauthenticated)
}

fn another_account() -> Refusal {
    Fault::BadRequest("the identity is not this account's".into()).into()
}
