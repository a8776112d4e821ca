//! Analytics: what a person has done, in numbers. Read only.
//! Promise: what is told of a day is what the completion log froze for it, whatever became of the zone, the task or the
//! reminder since; an answer is never older than the last change that its person made, nor past the moment at which it
//! turns wrong by itself.
//!
//! `figures.rs` has the three statements and keeps what they find; everything else is pure: `streak.rs`, `buckets.rs`,
//! `share.rs` and `locale.rs` know neither clock nor database.

pub mod buckets;
pub mod figures;
pub mod graphql;
pub mod locale;
pub mod share;
pub mod streak;

pub use self::figures::Figures;
