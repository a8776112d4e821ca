//! The new Office files: a ZIP with a fixed table of contents (ECMA-376 part 2, APPNOTE).
//! Promise: the central directory and the local headers say the same, cover the file from its first byte to its last,
//! and nothing is decompressed to find out.

use std::io::{Read, Seek};

use super::{
    Kind, Rejection, signatures,
    source::{Found, Source, reject, u16_at, u32_at},
};

/// Of the directory, in bytes. A large workbook has some kilobytes.
const DIRECTORY: u64 = 2 << 20;
const ENTRIES: u64 = 10_000;
/// All entries together, unpacked.
const UNPACKED: u64 = 512 << 20;
/// How many times larger than packed, from `RATIO_FROM` on. Text packs to a twentieth, deflate at most to a 1 032nd.
const RATIO: u64 = 200;
const RATIO_FROM: u64 = 10 << 20;

struct Entry {
    name: Vec<u8>,
    flags: u16,
    packed: u64,
    unpacked: u64,
    /// Where its local header is.
    at: u64,
}

/// Checks a file that begins with a local header.
pub(super) fn office<R: Read + Seek>(source: &mut Source<'_, R>, head: &[u8]) -> Found<Kind> {
    if signatures::has_pdf_header(head) {
        return reject(Rejection::TWO_IN_ONE);
    }
    let (directory, count) = end_record(source)?;
    let entries = entries(source, directory, count)?;
    refuse_bombs(&entries, source.length())?;
    follow_entries(source, &entries, directory)?;
    kind(&entries)
}

/// Finds the end record (APPNOTE 4.3.16), which must end the file: what follows it is another file's. Gives where the
/// directory begins, and how many entries it has.
fn end_record<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<(u64, u64)> {
    let tail = source.tail(22 + 65_535)?;
    let Some(at) = tail.windows(4).rposition(|four| four == b"PK\x05\x06") else {
        return reject(Rejection::INCOMPLETE);
    };
    let record = tail.get(at..).unwrap_or_default();
    if record.len() < 22 {
        return reject(Rejection::INCOMPLETE);
    }
    if record.len() != 22 + usize::from(u16_at(record, 20)) {
        return reject(Rejection::TWO_IN_ONE);
    }
    let (count, size, from) = (u16_at(record, 10), u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
    // One disk; and no ZIP64, which no Office program needs below four gigabytes.
    if u32_at(record, 4) != 0 || u16_at(record, 8) != count || u64::from(count) > ENTRIES || size > DIRECTORY {
        return reject(Rejection::DAMAGED);
    }
    // With bytes before the first entry every offset would be wrong by as many.
    if from + size != source.length() - record.len() as u64 {
        return reject(Rejection::TWO_IN_ONE);
    }
    Ok((from, count.into()))
}

/// Reads the directory (APPNOTE 4.3.12).
fn entries<R: Read + Seek>(source: &mut Source<'_, R>, from: u64, count: u64) -> Found<Vec<Entry>> {
    source.seek(from)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let header: [u8; 46] = source.bytes()?;
        if !header.starts_with(b"PK\x01\x02") {
            return reject(Rejection::DAMAGED);
        }
        let mut name = vec![0; usize::from(u16_at(&header, 28))];
        source.fill(&mut name)?;
        source.skip(u64::from(u16_at(&header, 30)) + u64::from(u16_at(&header, 32)))?;
        let flags = u16_at(&header, 8);
        if flags & 1 != 0 {
            return reject("This file is protected by a password. Save it without one, and upload that.");
        }
        // Stored or deflated (ECMA-376 part 2, annex C); a plain path inside the package (7.3).
        if !matches!(u16_at(&header, 10), 0 | 8) || !is_plain_path(&name) {
            return reject(Rejection::DAMAGED);
        }
        let (packed, unpacked) = (u32_at(&header, 20).into(), u32_at(&header, 24).into());
        entries.push(Entry { name, flags, packed, unpacked, at: u32_at(&header, 42).into() });
    }
    // The end record is where the directory ends, and not in the comment of its last entry.
    let ends = source.bytes::<4>()? == *b"PK\x05\x06";
    if ends { Ok(entries) } else { reject(Rejection::DAMAGED) }
}

/// No way out of the folder into which somebody unpacks it, on any system.
fn is_plain_path(name: &[u8]) -> bool {
    let odd = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'\\' | b':');
    let up = |part: &[u8]| part == b".." || part == b".";
    !(name.is_empty() || name.starts_with(b"/") || name.iter().any(odd) || name.split(|byte| *byte == b'/').any(up))
}

fn refuse_bombs(entries: &[Entry], length: u64) -> Found<()> {
    let unpacked: u64 = entries.iter().map(|entry| entry.unpacked).sum();
    let swells = |unpacked: u64, packed: u64| unpacked > RATIO_FROM && unpacked / RATIO > packed;
    let entry = entries.iter().any(|entry| swells(entry.unpacked, entry.packed));
    if unpacked > UNPACKED || entry || swells(unpacked, length) {
        return reject("This file becomes far larger when it is opened. Save it with less in it, and upload that.");
    }
    Ok(())
}

/// Follows the local headers (APPNOTE 4.3.7) through the file. They must say what the directory says: a reader that
/// goes from front to back would see another file else. Entries that share bytes are a way to build a bomb.
fn follow_entries<R: Read + Seek>(source: &mut Source<'_, R>, entries: &[Entry], end: u64) -> Found<()> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| entry.at);
    let mut names: Vec<Vec<u8>> = entries.iter().map(|entry| entry.name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    // Names of parts differ, whatever their case (ECMA-376 part 2, 6.2.2.3).
    let twice = names.windows(2).any(|two| two.first() == two.last());
    if twice || order.first().is_some_and(|first| first.at != 0) {
        return reject(Rejection::DAMAGED);
    }
    let mut free_from = 0;
    for entry in order {
        if entry.at < free_from {
            return reject(Rejection::DAMAGED);
        }
        source.seek(entry.at)?;
        let header: [u8; 30] = source.bytes()?;
        let mut name = vec![0; usize::from(u16_at(&header, 26))];
        source.fill(&mut name)?;
        // With bit 3 the sizes follow the data, and are zero here (APPNOTE 4.4.4).
        let later = entry.flags & 8 != 0;
        let (packed, unpacked) = (u64::from(u32_at(&header, 18)), u64::from(u32_at(&header, 22)));
        let same_sizes = later || (packed, unpacked) == (entry.packed, entry.unpacked);
        if !header.starts_with(b"PK\x03\x04") || name != entry.name || !same_sizes {
            return reject(Rejection::DAMAGED);
        }
        free_from = source.at() + u64::from(u16_at(&header, 28)) + entry.packed;
        if free_from > end {
            return reject(Rejection::DAMAGED);
        }
    }
    Ok(())
}

/// What the package is, by its main part. Office itself looks at the relationships; it and every program I know of
/// name the part so, some with a number (`document2.xml`).
fn kind(entries: &[Entry]) -> Found<Kind> {
    let is = |entry: &Entry, name: &str| entry.name.eq_ignore_ascii_case(name.as_bytes());
    let has = |name: &str| entries.iter().any(|entry| is(entry, name));
    let starts = |start: &str| entries.iter().any(|entry| signatures::begins(&entry.name, start.as_bytes()));
    let part = |stem: &str| {
        entries.iter().any(|entry| {
            let number = entry.name.get(stem.len()..).and_then(|rest| rest.strip_suffix(b".xml"));
            signatures::begins(&entry.name, stem.as_bytes())
                && number.is_some_and(|number| number.iter().all(u8::is_ascii_digit))
        })
    };
    let ends = |end: &[u8]| entries.iter().any(|entry| entry.name.to_ascii_lowercase().ends_with(end));
    if ends(b"vbaproject.bin") || starts("xl/macrosheets/") {
        return reject(Rejection::MACROS);
    }
    // A Java archive or an app for Android.
    if has("META-INF/MANIFEST.MF") || ends(b".class") || ends(b".dex") {
        return reject(Rejection::TWO_IN_ONE);
    }
    match (has("[Content_Types].xml"), part("word/document"), part("xl/workbook"), part("ppt/presentation")) {
        (true, true, false, false) => Ok(Kind::Docx),
        (true, false, true, false) => Ok(Kind::Xlsx),
        (true, false, false, true) => Ok(Kind::Pptx),
        (_, false, false, false) => reject(format!(
            "This file is an archive, or of an Office type that is not accepted. {}",
            Rejection::ACCEPTED
        )),
        _ => reject(Rejection::DAMAGED),
    }
}
