//! PDF documents.
//! Promise: header and end stand where readers look for them, and nothing else claims the file.

use std::io::{Read, Seek};

use super::{
    Kind, Rejection, signatures,
    source::{Found, Source, reject},
};

/// The end must stand in so many last bytes. ISO 32000-1, annex H.3, note 18, says 1 024; some programs pad.
const TAIL: usize = 2048;

/// Checks a file that begins with `%PDF-` (ISO 32000-1, 7.5.2 and 7.5.5).
pub(super) fn pdf<R: Read + Seek>(source: &mut Source<'_, R>, head: &[u8]) -> Found<Kind> {
    if !head.get(5).is_some_and(u8::is_ascii_digit) {
        return reject(Rejection::DAMAGED);
    }
    if signatures::has_markup(head) {
        return reject(Rejection::TWO_IN_ONE);
    }
    let tail = source.tail(TAIL)?;
    let Some(end) = tail.windows(5).rposition(|five| five == b"%%EOF") else {
        return reject(Rejection::INCOMPLETE);
    };
    source.seek(source.length() - (tail.len() - end - 5) as u64)?;
    signatures::refuse_in_rest(source)?;
    signatures::refuse_archive_end(source)?;
    Ok(Kind::Pdf)
}
