//! Counts a document's tokens before it is parsed (GraphQL, October 2021, section 2.1).
//! Promise: one pass, no recursion: whatever comes, the parser behind it is given little and shallow text.

use super::Refused;
use crate::platform::config::Limits;

/// How deep brackets may nest: the parser recurses for each. Far above what the depth limits let through.
const NESTING: usize = 64;

/// Refuses what is too long, has too many tokens or nests too deep; else how many tokens there are.
pub(super) fn check(document: &str, limits: &Limits) -> Result<usize, Refused> {
    if document.len() > limits.document {
        return Err(Refused::too_complex(format!("A document has at most {} bytes.", limits.document)));
    }
    let bytes = document.as_bytes();
    let (mut at, mut tokens, mut nesting) = (0, 0, 0usize);
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            // Ignored: white space, commas, the byte order mark, comments.
            b' ' | b'\t' | b'\n' | b'\r' | b',' | 0xEF | 0xBB | 0xBF => at + 1,
            b'#' => at + bytes[at..].iter().take_while(|b| !matches!(b, b'\n' | b'\r')).count(),
            first => {
                tokens += 1;
                match first {
                    b'{' | b'(' | b'[' => nesting += 1,
                    b'}' | b')' | b']' => nesting = nesting.saturating_sub(1),
                    _ => {}
                }
                end_of_token(bytes, at)
            }
        };
        if tokens > limits.tokens {
            return Err(Refused::too_complex(format!("A document has at most {} tokens.", limits.tokens)));
        }
        if nesting > NESTING {
            return Err(Refused::too_complex("This document nests too deep."));
        }
    }
    Ok(tokens)
}

fn end_of_token(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    let name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let number = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'+' | b'-');
    let length = match rest[0] {
        b'"' if rest.starts_with(b"\"\"\"") => block_string(rest),
        b'"' => string(rest),
        b'.' if rest.starts_with(b"...") => 3,
        b if b.is_ascii_digit() || b == b'-' => 1 + rest[1..].iter().take_while(|b| number(b)).count(),
        b if b.is_ascii_alphabetic() || b == b'_' => rest.iter().take_while(|b| name(b)).count(),
        _ => 1,
    };
    start + length
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            _ => at += 1,
        }
    }
    rest.len()
}

fn block_string(rest: &[u8]) -> usize {
    let mut at = 3;
    while at < rest.len() {
        if rest[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if rest[at..].starts_with(b"\"\"\"") {
            return at + 3;
        } else {
            at += 1;
        }
    }
    rest.len()
}
