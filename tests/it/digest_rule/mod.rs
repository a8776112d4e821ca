//! The digest rule, for every zone and for people who change zone and hour at any moment.
//! Promise: what `reminders/digest_rule.rs` promises, looked at day by day.

mod every_zone;
mod walks;
