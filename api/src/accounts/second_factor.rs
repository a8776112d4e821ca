//! The second factor: turning it on and off, its codes, and the codes for the day on which the telephone is lost.
//! Promise: an authenticator's code opens one thing, once (RFC 6238 section 5.2); so does a recovery code.

use std::sync::Arc;

use entity::{
    ChallengeId, UserId, account_mail,
    challenge::Purpose,
    second_factor::{self as row, Method},
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};
use totp_rs::{Builder, Totp};
use uuid::Uuid;

use super::{
    Accounts,
    attempts::{Attempt, Named},
    challenge::{NewChallenge, wrong_code},
    mails, rules,
    session::lock_fresh,
};
use crate::platform::{
    db::Tx,
    error::{Fault, Refusal, UserError, UserErrorCode as Code},
    input, secret,
    viewer::{Origin, Viewer},
};

/// How many recovery codes a set has.
pub(super) const RECOVERY_CODES: u32 = 10;
/// Crockford's base 32: no letters that look like digits.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A second factor that is being set up.
pub(super) struct Setup {
    pub(super) challenge: entity::challenge::Model,
    /// What the authenticator app needs. None: the codes come by mail.
    pub(super) totp: Option<TotpSetup>,
}

/// What an authenticator app needs.
pub(super) struct TotpSetup {
    /// In base 32, to be typed.
    pub(super) secret: String,
    pub(super) uri: String,
    pub(super) qr_svg: String,
}

impl Accounts {
    /// Begins to set up a second factor; the code turns it on.
    pub(super) async fn start_second_factor(
        self: &Arc<Self>,
        viewer: Viewer,
        method: Method,
        origin: &Origin,
    ) -> Result<Setup, Refusal> {
        self.count(Attempt::Change, Named::Person(viewer.user_id), origin).await?;
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let new = NewChallenge {
                    purpose: Purpose::SecondFactorSetup,
                    method,
                    session_id: Some(viewer.session_id),
                    new_email: None,
                    remembered: false,
                };
                let challenge = accounts.challenge(&tx, &person, new).await?;
                let totp = match method {
                    Method::Email => None,
                    Method::Totp => Some(accounts.totp_setup(&person, challenge.id.uuid())?),
                };
                Ok(Setup { challenge, totp })
            })
            .await
    }

    fn totp_setup(&self, person: &entity::user::Model, seed: Uuid) -> Result<TotpSetup, Fault> {
        let internal = |e: String| Fault::Internal(format!("an authenticator's secret: {e}"));
        let seed = self.totp_seed(person.id, seed);
        let totp = Builder::new()
            .with_secret(seed)
            .with_issuer(Some("Spacedly"))
            // A colon would end the label (Key URI Format).
            .with_account_name(person.email.replace(':', "_"))
            .build()
            .map_err(|e| internal(e.to_string()))?;
        let uri = totp.to_url().map_err(|e| internal(e.to_string()))?;
        let qr = qrcode::QrCode::new(uri.as_bytes()).map_err(|e| internal(e.to_string()))?;
        let qr_svg = qr.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
        Ok(TotpSetup { secret: totp_rs::Secret::from(seed).to_base32(), uri, qr_svg })
    }

    /// Turns the second factor on, if the code is right. Gives back the recovery codes, which are shown once.
    pub(super) async fn confirm_second_factor(
        self: &Arc<Self>,
        viewer: Viewer,
        id: &str,
        code: &str,
        origin: &Origin,
    ) -> Result<Vec<String>, Refusal> {
        let id = input::id::<ChallengeId>("challengeId", id)?;
        let code = rules::typed_code(code);
        let accounts = self.clone();
        let named = Named::Person(viewer.user_id);
        self.counting_failures(Attempt::ChangeCode, named, origin, async move {
            let db = accounts.platform.db.clone();
            let codes = db.write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let taken = accounts.take_own_challenge(&tx, viewer, Purpose::SecondFactorSetup, (id, &code)).await?;
                let Some(challenge) = taken else { return Ok(None) };
                let step = accounts.totp_step(viewer.user_id, id.uuid(), &code).unwrap_or_default();
                let factor = accounts.put_second_factor(&tx, viewer.user_id, &challenge, step).await?;
                let kind = account_mail::Kind::SecondFactorOn;
                mails::enqueue(&accounts.platform, &tx, &person, kind, None).await?;
                Ok(Some(accounts.recovery_codes(&factor)))
            });
            codes.await?.ok_or_else(wrong_code)
        })
        .await
    }

    async fn put_second_factor(
        &self,
        tx: &Tx,
        user_id: UserId,
        challenge: &entity::challenge::Model,
        step: i64,
    ) -> Result<row::Model, Fault> {
        let new = row::ActiveModel {
            user_id: Set(user_id),
            seed_id: Set(challenge.id.uuid()),
            method: Set(challenge.method),
            // The code that turned it on is used.
            last_step: Set(step),
            recovery_generation: Set(0),
            recovery_used: Set(0),
            created_at: Set(self.platform.clock.now()),
        };
        let instead = OnConflict::column(row::Column::UserId)
            .update_columns([
                row::Column::SeedId,
                row::Column::Method,
                row::Column::LastStep,
                row::Column::RecoveryGeneration,
                row::Column::RecoveryUsed,
                row::Column::CreatedAt,
            ])
            .to_owned();
        Ok(row::Entity::insert(new).on_conflict(instead).exec_with_returning(&**tx).await?)
    }

    /// Turns the second factor off.
    pub(super) async fn disable_second_factor(self: &Arc<Self>, viewer: Viewer) -> Result<bool, Refusal> {
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                let (person, _) = lock_fresh(&accounts, &tx, viewer).await?;
                let gone = row::Entity::delete_by_id(viewer.user_id).exec(&*tx).await?.rows_affected;
                if gone == 0 {
                    return Err(UserError::at("", Code::WrongState, "There is no second factor to turn off.").into());
                }
                let kind = account_mail::Kind::SecondFactorOff;
                mails::enqueue(&accounts.platform, &tx, &person, kind, None).await?;
                Ok(true)
            })
            .await
    }

    /// A new set of recovery codes; those before it are good no more.
    pub(super) async fn renew_recovery_codes(self: &Arc<Self>, viewer: Viewer) -> Result<Vec<String>, Refusal> {
        let accounts = self.clone();
        self.platform
            .db
            .write::<_, Refusal, _, _>(move |tx| async move {
                use sea_orm::sea_query::ExprTrait;
                lock_fresh(&accounts, &tx, viewer).await?;
                let renewed = row::Entity::update_many()
                    .col_expr(row::Column::RecoveryGeneration, Expr::col(row::Column::RecoveryGeneration).add(1))
                    .col_expr(row::Column::RecoveryUsed, Expr::value(0))
                    .filter(row::Column::UserId.eq(viewer.user_id))
                    .exec_with_returning(&*tx)
                    .await?;
                let none = || UserError::at("", Code::WrongState, "Turn a second factor on first.");
                Ok(accounts.recovery_codes(&renewed.into_iter().next().ok_or_else(none)?))
            })
            .await
    }

    fn totp_seed(&self, user: UserId, seed: Uuid) -> [u8; 20] {
        let mac = self.platform.secrets.mac("totp", &[user.uuid().as_bytes(), seed.as_bytes()]);
        let mut secret = [0; 20];
        // 160 bits: RFC 4226 section 4, R6.
        secret.copy_from_slice(&mac[..20]);
        secret
    }

    /// The step of time whose code this is: the present one, the one before or the one after.
    pub(super) fn totp_step(&self, user: UserId, seed: Uuid, code: &str) -> Option<i64> {
        let totp: Totp = Builder::new().with_secret(self.totp_seed(user, seed)).build_noncompliant();
        let now = u64::try_from(self.platform.clock.now().timestamp()).ok()?;
        totp.check(code, now).and_then(|step| i64::try_from(step).ok())
    }

    /// Takes a code of the authenticator app. Each step is taken once, by compare and set.
    pub(super) async fn use_totp_code(&self, tx: &Tx, user: UserId, code: &str) -> Result<bool, Fault> {
        let factor = row::Entity::find_by_id(user).one(&**tx).await?;
        let Some(factor) = factor.filter(|factor| factor.method == Method::Totp) else { return Ok(false) };
        let Some(step) = self.totp_step(user, factor.seed_id, code) else { return Ok(false) };
        let taken = row::Entity::update_many()
            .col_expr(row::Column::LastStep, Expr::value(step))
            .filter(row::Column::UserId.eq(user))
            .filter(row::Column::LastStep.lt(step))
            .exec(&**tx)
            .await?;
        Ok(taken.rows_affected == 1)
    }

    /// Takes a recovery code, once.
    pub(super) async fn use_recovery_code(&self, tx: &Tx, user: UserId, code: &str) -> Result<bool, Fault> {
        if code.len() != 10 {
            return Ok(false);
        }
        let Some(factor) = row::Entity::find_by_id(user).one(&**tx).await? else { return Ok(false) };
        let code = code.replace('O', "0").replace(['I', 'L'], "1");
        let all = (0..RECOVERY_CODES).map(|number| (number, self.recovery_code(&factor, number)));
        let Some((number, _)) = all.filter(|(_, right)| secret::equal(right.as_bytes(), code.as_bytes())).last() else {
            return Ok(false);
        };
        let bit = 1 << number;
        if factor.recovery_used & bit != 0 {
            return Ok(false);
        }
        let taken = row::Entity::update_many()
            .col_expr(row::Column::RecoveryUsed, Expr::value(factor.recovery_used | bit))
            .filter(row::Column::UserId.eq(user))
            .filter(row::Column::RecoveryGeneration.eq(factor.recovery_generation))
            .filter(row::Column::RecoveryUsed.eq(factor.recovery_used))
            .exec(&**tx)
            .await?;
        Ok(taken.rows_affected == 1)
    }

    /// The set in force, as it is shown: `XXXXX-XXXXX`.
    fn recovery_codes(&self, factor: &row::Model) -> Vec<String> {
        let code = |number| {
            let code = self.recovery_code(factor, number);
            format!("{}-{}", &code[..5], &code[5..])
        };
        (0..RECOVERY_CODES).map(code).collect()
    }

    /// Fifty bits, derived under the server's key, so that they are stored nowhere.
    fn recovery_code(&self, factor: &row::Model, number: u32) -> String {
        let generation = factor.recovery_generation.to_be_bytes();
        let parts = [factor.user_id.uuid().into_bytes(), factor.seed_id.into_bytes()];
        let mac = self.platform.secrets.mac("recovery", &[&parts[0], &parts[1], &generation, &number.to_be_bytes()]);
        mac[..10].iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
    }
}

/// How many recovery codes are left.
pub(super) fn recovery_codes_left(factor: &row::Model) -> i32 {
    i32::try_from(RECOVERY_CODES - factor.recovery_used.count_ones().min(RECOVERY_CODES)).unwrap_or_default()
}
