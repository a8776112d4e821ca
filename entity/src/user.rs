//! A person with an account. Only verified people have a row here: who waits for a code is in
//! [`crate::pending_registration`].

use sea_orm::entity::prelude::*;

use crate::UserId;

/// The columns of `users`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// As the person wrote it, trimmed, 2–100 characters.
    pub name: String,
    /// As typed.
    pub email: String,
    /// Lower-cased: what uniqueness and login compare.
    #[sea_orm(unique)]
    pub email_key: String,
    /// PHC string of argon2id. None: this account has no password (it came by OpenID Connect).
    pub password_hash: Option<String>,
    /// As typed, 3–30 characters. None: the person chose none.
    pub username: Option<String>,
    /// Lower-cased: what uniqueness compares.
    #[sea_orm(unique)]
    pub username_key: Option<String>,
    /// At most 150 characters. None: the person wrote none.
    pub bio: Option<String>,
    /// BCP 47 language tag. None: the person chose none.
    pub locale: Option<String>,
    /// IANA name. None: the person chose none and gets the setting `DEFAULT_TIME_ZONE`.
    pub time_zone: Option<String>,
    /// Minutes before a reminder's moment at which its mail goes out; 0 is the moment itself.
    pub email_lead_minutes: i32,
    /// The minute of the local day at which the morning digest goes out. None: the person wants none.
    pub digest_minute: Option<i32>,
    /// The minute of the local day from which mails and push messages are held. None: they never are.
    pub quiet_from_minute: Option<i32>,
    /// The minute of the local day at which what was held goes out. None: nothing is held.
    pub quiet_to_minute: Option<i32>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
