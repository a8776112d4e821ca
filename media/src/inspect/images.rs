//! Where the four kinds of images end.
//! Promise: an image is complete from its first byte to its end marker by its own structure, and what follows is no
//! file of its own. Whether its pixels decode is for `optimise` to say.

use std::io::{Read, Seek};

use super::{
    Kind, Rejection, signatures,
    source::{Found, Source, reject},
};

/// Follows the segments of a JPEG to EOI (ITU-T T.81, annex B).
pub(super) fn jpeg<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<Kind> {
    source.skip(2)?;
    let (mut frame, mut scan) = (false, false);
    loop {
        match marker(source)? {
            0xD9 => break,
            // TEM and RST have no length (B.1.1.3).
            0x01 | 0xD0..=0xD7 => {}
            0x02..=0xBF | 0xD8 => return reject(Rejection::DAMAGED),
            code => {
                let Some(length) = u16::from_be_bytes(source.bytes()?).checked_sub(2) else {
                    return reject(Rejection::DAMAGED);
                };
                source.skip(u64::from(length))?;
                frame |= matches!(code, 0xC0..=0xCF) && !matches!(code, 0xC4 | 0xC8 | 0xCC);
                scan |= code == 0xDA;
            }
        }
    }
    if !(frame && scan) {
        return reject(Rejection::DAMAGED);
    }
    ends_here(source)?;
    Ok(Kind::Jpeg)
}

/// The next marker, past entropy-coded data, stuffed zeros and fill bytes (B.1.1.2, B.1.1.5).
fn marker<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<u8> {
    loop {
        let chunk = source.chunk()?;
        if chunk.is_empty() {
            return reject(Rejection::INCOMPLETE);
        }
        match chunk.iter().position(|byte| *byte == 0xFF) {
            None => {
                let read = chunk.len();
                source.consume(read);
            }
            Some(at) => {
                source.consume(at + 1);
                let mut code = source.byte()?;
                while code == 0xFF {
                    code = source.byte()?;
                }
                if code != 0 {
                    return Ok(code);
                }
            }
        }
    }
}

/// Follows the chunks of a PNG to IEND (W3C PNG §5.3; lengths below 2³¹, types of letters).
pub(super) fn png<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<Kind> {
    source.skip(8)?;
    let (mut first, mut data) = (true, false);
    loop {
        let length = u32::from_be_bytes(source.bytes()?);
        let name = source.bytes::<4>()?;
        let header = &name == b"IHDR" && length == 13;
        if length > i32::MAX.cast_unsigned() || !name.iter().all(u8::is_ascii_alphabetic) || first != header {
            return reject(Rejection::DAMAGED);
        }
        first = false;
        data |= &name == b"IDAT";
        source.skip(u64::from(length) + 4)?;
        if &name == b"IEND" {
            break;
        }
    }
    if !data {
        return reject(Rejection::DAMAGED);
    }
    ends_here(source)?;
    Ok(Kind::Png)
}

/// Follows the blocks of a GIF to its trailer (GIF89a, appendix A).
pub(super) fn gif<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<Kind> {
    source.skip(10)?;
    let [flags, ..] = source.bytes::<3>()?;
    skip_colours(source, flags)?;
    let mut image = false;
    loop {
        match source.byte()? {
            0x3B => break,
            0x21 => source.skip(1)?,
            0x2C => {
                let [.., flags] = source.bytes::<9>()?;
                skip_colours(source, flags)?;
                // The least size of a code of LZW: 2 to 8 bits for colours, 1 in some old files.
                if !(1..=11).contains(&source.byte()?) {
                    return reject(Rejection::DAMAGED);
                }
                image = true;
            }
            _ => return reject(Rejection::DAMAGED),
        }
        loop {
            match source.byte()? {
                0 => break,
                length => source.skip(u64::from(length))?,
            }
        }
    }
    if !image {
        return reject(Rejection::DAMAGED);
    }
    ends_here(source)?;
    Ok(Kind::Gif)
}

fn skip_colours<R: Read + Seek>(source: &mut Source<'_, R>, flags: u8) -> Found<()> {
    if flags & 0x80 == 0 { Ok(()) } else { source.skip(3 << ((flags & 7) + 1)) }
}

/// Follows the chunks of a WebP to the end that its first one names (RFC 9649 §2.3 and §2.4).
pub(super) fn webp<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<Kind> {
    source.skip(4)?;
    let end = u64::from(u32::from_le_bytes(source.bytes()?)) + 8;
    if end > source.length() {
        return reject(Rejection::INCOMPLETE);
    }
    source.skip(4)?;
    let (mut first, mut image) = (true, false);
    while source.at() < end {
        let name = source.bytes::<4>()?;
        let length = u64::from(u32::from_le_bytes(source.bytes()?));
        // Chunks are padded to an even length; the pad of the last one is missing in files of some old programs.
        let padded = (length + length % 2).min(end.saturating_sub(source.at()).max(length));
        if source.at() + padded > end || (first && !matches!(&name, b"VP8 " | b"VP8L" | b"VP8X")) {
            return reject(Rejection::DAMAGED);
        }
        first = false;
        image |= matches!(&name, b"VP8 " | b"VP8L" | b"ANMF");
        source.skip(padded)?;
    }
    if !image {
        return reject(Rejection::DAMAGED);
    }
    ends_here(source)?;
    Ok(Kind::Webp)
}

fn ends_here<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<()> {
    signatures::refuse_in_rest(source)?;
    signatures::refuse_archive_end(source)
}
