//! Finds what a file really is, from its bytes, and refuses what is none of the types, or more than one.
//! Promise: the answer rests on every structure that a reader of the type would look at, in one pass, with less than
//! a megabyte of memory; nothing is decompressed or decoded, and no input makes it panic.

mod compound;
mod images;
mod package;
mod pdf;
mod signatures;
mod source;
mod text;

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read, Seek},
};

use self::source::{Found, Source, Stop, reject};
use super::kind::{self, Kind};

/// Why a file is not taken, in words for the person who uploaded it, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection(pub Cow<'static, str>);

impl Rejection {
    const EMPTY: &str = "This file is empty. Choose the file again.";
    const INCOMPLETE: &str = "This file is not complete: its end is missing. Upload it again from the original.";
    const DAMAGED: &str = "This file is damaged. Open it in its program, save it again, and upload that.";
    const TWO_IN_ONE: &str =
        "This file carries a second file of another type. Save it anew from its program, and upload that.";
    const MACROS: &str = "This file contains macros, which are programs. Save it without them, and upload that.";
    const ACCEPTED: &str = "Accepted are JPEG, PNG, GIF, WebP, PDF, Word, Excel, PowerPoint and text files.";
}

impl From<&'static str> for Rejection {
    fn from(words: &'static str) -> Self {
        Self(Cow::Borrowed(words))
    }
}

impl From<String> for Rejection {
    fn from(words: String) -> Self {
        Self(Cow::Owned(words))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Finds the true type of a file of `length` bytes, and compares it with the ending of its `name` and the `claimed`
/// type. The four image types may stand for each other: images are made anew, so a wrong name harms nobody.
///
/// # Errors
/// When the file cannot be read. A file that is not taken is no error but a [`Rejection`].
pub fn inspect<R: Read + Seek>(
    file: &mut R,
    length: u64,
    name: &str,
    claimed: Kind,
) -> io::Result<Result<Kind, Rejection>> {
    match look(file, length).and_then(|kind| agree(kind, name, claimed)) {
        Ok(kind) => Ok(Ok(kind)),
        Err(Stop::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Stop::Io(cause)) => Err(cause),
    }
}

/// The first bytes decide which structure is looked for. Magic numbers: WHATWG MIME Sniffing §6.1 (images), §7.1 (PDF);
/// APPNOTE 4.3.7 (ZIP), \[MS-CFB\] 2.2 (old Office).
fn look<R: Read + Seek>(file: &mut R, length: u64) -> Found<Kind> {
    if length == 0 {
        return reject(Rejection::EMPTY);
    }
    let mut source = Source::open(file, length)?;
    let head = head(&mut source)?;
    match head.as_slice() {
        [0xFF, 0xD8, 0xFF, ..] => images::jpeg(&mut source),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => images::png(&mut source),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => images::gif(&mut source),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => images::webp(&mut source),
        [b'%', b'P', b'D', b'F', b'-', ..] => pdf::pdf(&mut source, &head),
        [b'P', b'K', 3, 4, ..] => package::office(&mut source, &head),
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, ..] => compound::office(&mut source),
        _ => text::text(&mut source, &head),
    }
}

/// What is looked at to tell the types apart.
const HEAD: u64 = 1024;

fn head<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<Vec<u8>> {
    let mut head = vec![0; usize::try_from(source.length().min(HEAD)).unwrap_or_default()];
    source.fill(&mut head)?;
    source.seek(0)?;
    Ok(head)
}

/// A file of none of the types.
fn none_of_them<T>(head: &[u8]) -> Found<T> {
    let looks = match infer::get(head) {
        Some(other) => format!("This file looks like {}, which is not accepted.", other.mime_type()),
        None => "This file is of a type that is not accepted.".to_owned(),
    };
    reject(format!("{looks} {}", Rejection::ACCEPTED))
}

/// Whether bytes, name and claim say the same.
fn agree(kind: Kind, name: &str, claimed: Kind) -> Found<Kind> {
    let same = |other: Kind| other == kind || (other.is_image() && kind.is_image());
    if let Some(ending) = kind::ending(name)
        && !Kind::from_name(name).is_some_and(same)
    {
        // The ending comes from outside: what is no plain word is not repeated.
        let plain = ending.len() <= 10 && ending.chars().all(|c| c.is_ascii_alphanumeric());
        let ending = if plain { format!("ends in .{ending}") } else { "says otherwise".to_owned() };
        let (label, extension) = (kind.label(), kind.extension());
        return reject(format!("This file is {label}, but its name {ending}. Let the name end in .{extension}."));
    }
    if !same(claimed) {
        let (label, claim, right) = (kind.label(), claimed.label(), kind.content_type());
        return reject(format!("This file is {label} but was announced as {claim}. Announce it as {right}."));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests;
