//! What a file is, by its bytes, and what is made of an image. A crate of its own because decoders are generic: they are
//! compiled where they are used, and this one is optimised in debug builds too.
//! Promise: whatever bytes come, there is an answer, in bounded time and memory, and never a panic.

pub mod inspect;
pub mod kind;
pub mod optimise;

#[cfg(test)]
#[path = "../../tests/support/dice.rs"]
#[expect(unreachable_pub, dead_code, reason = "the suite uses more of them")]
mod dice;
#[cfg(test)]
#[path = "../../tests/support/files.rs"]
#[expect(unreachable_pub, reason = "the suite uses them too")]
mod files;
