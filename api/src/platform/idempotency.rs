//! Idempotency keys: a client that did not hear the answer may ask again without making the thing twice.
//! Promise: the key is written in the transaction of its effect, so that one never exists without the other.

use entity::{UserId, idempotency_key as row};
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};
use uuid::Uuid;

use super::{
    clock::Instant,
    db::Tx,
    error::{Fault, UserError, UserErrorCode as Code},
    secret::sha256,
};

/// A parsed key with the fingerprint of the input that it came with.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    key: String,
    fingerprint: [u8; 32],
}

impl IdempotencyKey {
    /// Parses `input.idempotencyKey` (1–64 characters). `request` is the mutation's name and its whole input.
    pub fn parse(key: Option<String>, request: impl FnOnce() -> String) -> Result<Option<Self>, UserError> {
        let Some(key) = key else { return Ok(None) };
        let length = key.chars().count();
        if length == 0 || length > 64 || key.chars().any(char::is_control) {
            return Err(UserError::at("idempotencyKey", Code::InvalidValue, "Give a key of 1 to 64 characters."));
        }
        Ok(Some(Self { key, fingerprint: sha256(request().as_bytes()) }))
    }

    /// Takes the key for `object_id`, or finds what it made before. None: it is new, go on and make the object.
    ///
    /// # Errors
    /// IDEMPOTENCY_MISMATCH when it came with another input.
    pub async fn claim(&self, tx: &Tx, user_id: UserId, object_id: Uuid, now: Instant) -> Result<Option<Uuid>, Fault> {
        let taken = row::Entity::insert(row::ActiveModel {
            user_id: Set(user_id),
            key: Set(self.key.clone()),
            fingerprint: Set(self.fingerprint.to_vec()),
            object_id: Set(object_id),
            created_at: Set(now),
        })
        .on_conflict(OnConflict::columns([row::Column::UserId, row::Column::Key]).do_nothing().to_owned())
        .exec_without_returning(&**tx)
        .await;
        match taken {
            Ok(1) => return Ok(None),
            Ok(_) | Err(sea_orm::DbErr::RecordNotInserted) => {}
            Err(error) => return Err(error.into()),
        }
        let before = row::Entity::find_by_id((user_id, self.key.clone())).one(&**tx).await?;
        match before {
            Some(before) if before.fingerprint == self.fingerprint => Ok(Some(before.object_id)),
            Some(_) => Err(Fault::IdempotencyMismatch),
            None => Err(Fault::Unavailable("an idempotency key vanished between two statements".into())),
        }
    }

    /// Forgets the key: what it stood for could not be made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self, tx: &Tx, user_id: UserId) -> Result<(), Fault> {
        row::Entity::delete_by_id((user_id, self.key.clone())).exec(&**tx).await?;
        Ok(())
    }
}
