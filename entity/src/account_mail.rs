//! A mail about an account that is to be sent; the row goes when it is. It holds the address, because the person may
//! have another one by then, or be gone. Codes and tokens are not here: they are derived from what it is about.

use sea_orm::entity::prelude::*;
use uuid::Uuid;

use crate::{AccountMailId, UserId};

/// What it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Kind {
    /// The code of a challenge.
    #[sea_orm(string_value = "CODE")]
    Code,
    /// The address that was to be the new one has an account already.
    #[sea_orm(string_value = "EMAIL_TAKEN")]
    EmailTaken,
    /// To the old address: it is no longer the account's, and how to undo that.
    #[sea_orm(string_value = "EMAIL_CHANGED")]
    EmailChanged,
    /// The password was changed or reset.
    #[sea_orm(string_value = "PASSWORD_CHANGED")]
    PasswordChanged,
    /// A second factor is needed from now on.
    #[sea_orm(string_value = "SECOND_FACTOR_ON")]
    SecondFactorOn,
    /// None is needed any more.
    #[sea_orm(string_value = "SECOND_FACTOR_OFF")]
    SecondFactorOff,
    /// Another way in was linked.
    #[sea_orm(string_value = "IDENTITY_LINKED")]
    IdentityLinked,
    /// A token was used twice: its session was ended.
    #[sea_orm(string_value = "SESSION_STOLEN")]
    SessionStolen,
    /// The account and everything in it is gone.
    #[sea_orm(string_value = "ACCOUNT_DELETED")]
    AccountDeleted,
}

/// The columns of `account_mails`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account_mails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AccountMailId,
    /// Whose account it is about. No foreign key: the last mail outlives the account.
    pub user_id: UserId,
    pub kind: Kind,
    /// Where it goes.
    pub email: String,
    pub name: String,
    /// What it is about (a challenge, a change of address). None: the account itself.
    pub subject_id: Option<Uuid>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

crate::owned_by_user!();
