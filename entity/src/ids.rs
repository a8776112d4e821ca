//! Typed ids: a UUIDv7 in the database, a TypeID in the API (`task_01jd3x…`).
//! Promise: an id of one kind can never be taken for another, and parsing accepts exactly what printing makes.
//!
//! TypeID, version 0.3: a prefix, `_`, and the 128 bits in 26 characters of Crockford's base 32 in lower case,
//! so that the text sorts as the bits do. UUIDv7: RFC 9562 section 5.7.

use std::{fmt, str::FromStr};

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How a text fails to be an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// A well-formed id of another kind.
    WrongKind,
    /// Not an id at all.
    Malformed,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongKind => "id of another kind",
            Self::Malformed => "not an id",
        })
    }
}

impl std::error::Error for IdError {}

/// The 26 characters that stand for a UUID in a TypeID.
fn encode(uuid: Uuid) -> [u8; 26] {
    let bits = uuid.as_u128();
    std::array::from_fn(|i| ALPHABET[((bits >> (5 * (25 - i))) & 31) as usize])
}

fn decode(text: &str) -> Option<Uuid> {
    // 26 characters hold 130 bits: a first character above 7 would overflow.
    if text.len() != 26 || text.as_bytes()[0] > b'7' {
        return None;
    }
    let mut bits = 0u128;
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|c| *c == byte)?;
        bits = (bits << 5) | value as u128;
    }
    Some(Uuid::from_u128(bits))
}

/// The prefix and the UUID of any TypeID, whatever its kind.
pub fn split_type_id(text: &str) -> Option<(&str, Uuid)> {
    let (prefix, suffix) = text.rsplit_once('_')?;
    Some((prefix, decode(suffix)?))
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sea_orm::DeriveValueType)]
        pub struct $name(Uuid);

        impl $name {
            /// The prefix that names this kind in a TypeID.
            pub const PREFIX: &'static str = $prefix;

            /// The id that these bits stand for.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bits as they lie in the database.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&encode(self.0)).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match split_type_id(text) {
                    Some(($prefix, uuid)) => Ok(Self(uuid)),
                    Some(_) => Err(IdError::WrongKind),
                    None => Err(IdError::Malformed),
                }
            }
        }

        impl sea_orm::TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

typed_id! {
    /// A person with an account.
    UserId = "user";
    /// A registration that waits for its code.
    PendingRegistrationId = "registration";
    /// One login on one device.
    SessionId = "session";
    /// A task.
    TaskId = "task";
    /// A file that hangs on a task, or an avatar.
    AttachmentId = "attachment";
    /// An object in storage.
    StoredFileId = "file";
    /// A reminder.
    ReminderId = "reminder";
    /// One channel's delivery of one round of a reminder.
    DeliveryId = "delivery";
    /// A browser that is registered for push messages.
    PushSubscriptionId = "pushsubscription";
    /// A mail or a push message that waits to go out.
    MessageId = "message";
    /// A notification in the app.
    NotificationId = "notification";
    /// An entry of the completion log.
    CompletionId = "completion";
    /// A unit of background work.
    JobId = "job";
    /// Something that waits for a code.
    ChallengeId = "challenge";
    /// An account at an OpenID provider.
    IdentityId = "identity";
    /// A link for a forgotten password.
    PasswordResetId = "reset";
    /// A change of address.
    EmailChangeId = "emailchange";
    /// A mail about an account.
    AccountMailId = "mail";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_typeid_specification_come_out() {
        let id = TaskId::from_uuid(Uuid::from_u128(0x0188bac7_4afa_78aa_bc3b_bd1eef28d881));
        assert_eq!(id.to_string(), "task_01h2xcejqtf2nbrexx3vqjhp41");
        assert_eq!("task_01h2xcejqtf2nbrexx3vqjhp41".parse(), Ok(id));
        assert_eq!(TaskId::from_uuid(Uuid::max()).to_string(), "task_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(TaskId::from_uuid(Uuid::nil()).to_string(), "task_00000000000000000000000000");
    }

    #[test]
    fn what_is_not_an_id_of_the_kind_is_refused() {
        assert_eq!("reminder_01h2xcejqtf2nbrexx3vqjhp41".parse::<TaskId>(), Err(IdError::WrongKind));
        for text in [
            "",
            "task",
            "task_",
            "01h2xcejqtf2nbrexx3vqjhp41",
            "task_01h2xcejqtf2nbrexx3vqjhp4",
            "task_81h2xcejqtf2nbrexx3vqjhp41",
            "task_01H2XCEJQTF2NBREXX3VQJHP41",
            "task_01h2xcejqtf2nbrexx3vqjhp4é",
            "task_01h2xcejqtf2nbrexx3vqjhpul",
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(IdError::Malformed), "{text}");
        }
    }
}
