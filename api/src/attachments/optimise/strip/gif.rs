//! GIF: blocks (GIF89a).
//! Promise: of the extensions only delays, transparency and the loop stay; comments, XMP, plain text and whatever
//! programs left go.

use image::metadata::Orientation;

use super::{Reader, Stripped};

pub(super) fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader::new(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    // §17: what is kept needs the younger version.
    reader.take(6)?;
    kept.extend_from_slice(b"GIF89a");
    let screen: [u8; 7] = reader.array()?;
    let [width_low, width_high, height_low, height_high, flags, ..] = screen;
    kept.extend_from_slice(&screen);
    kept.extend_from_slice(reader.take(colours(flags))?);
    let (mut frames, mut largest, mut control) = (0_u32, 0_u64, None);
    loop {
        match reader.byte()? {
            0x3B => break,
            0x21 => match reader.byte()? {
                // §23: it belongs to the image that follows.
                0xF9 => control = Some(reader.rest().get(..blocks(&mut reader)?)?),
                0xFF => {
                    let length = blocks(&mut Reader::new(reader.rest()))?;
                    if let Some(plays) = plays(reader.take(length)?) {
                        kept.extend_from_slice(b"\x21\xFF\x0BNETSCAPE2.0\x03\x01");
                        kept.extend_from_slice(&plays);
                        kept.push(0);
                    }
                }
                // §25: plain text takes the control for itself; nobody shows it.
                0x01 => {
                    blocks(&mut reader)?;
                    control = None;
                }
                _ => drop(blocks(&mut reader)?),
            },
            0x2C => {
                let start = reader.rest();
                let [_, _, _, _, wide, wider, high, higher, flags] = reader.array()?;
                let (wide, high) = (u16::from_le_bytes([wide, wider]), u16::from_le_bytes([high, higher]));
                let tables = colours(flags) + 1;
                reader.take(tables)?;
                let length = 9 + tables + blocks(&mut reader)?;
                if let Some(control) = control.take() {
                    kept.extend_from_slice(&[0x21, 0xF9]);
                    kept.extend_from_slice(control);
                }
                kept.push(0x2C);
                kept.extend_from_slice(start.get(..length)?);
                largest = largest.max(u64::from(wide) * u64::from(high));
                frames += 1;
            }
            _ => return None,
        }
    }
    kept.push(0x3B);
    let width = u16::from_le_bytes([width_low, width_high]).into();
    let height = u16::from_le_bytes([height_low, height_high]).into();
    let (animated, orientation, profile, colour, lossless) =
        (frames > 1, Orientation::NoTransforms, None, Vec::new(), true);
    // The screen, the one before and a copy, four bytes a pixel; a frame twice, one byte.
    let working = u64::from(width) * u64::from(height) * 12 + largest * 2;
    let (bytes, pixel) = (kept, 4);
    Some(Stripped { bytes, width, height, frames, animated, orientation, profile, colour, pixel, working, lossless })
}

/// The bytes of a table of colours, by the flags before it (§18, §20).
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Passes sub-blocks up to the empty one (§15, §16). Gives their length with all of their lengths.
fn blocks(reader: &mut Reader<'_>) -> Option<usize> {
    let start = reader.at;
    loop {
        match reader.byte()? {
            0 => return Some(reader.at - start),
            length => drop(reader.take(length.into())?),
        }
    }
}

/// How often the animation plays, when it is that extension: a name of eleven, then three bytes of which the first
/// is one.
fn plays(blocks: &[u8]) -> Option<[u8; 2]> {
    let name = blocks.get(..12)?;
    let known = name == b"\x0BNETSCAPE2.0" || name == b"\x0BANIMEXTS1.0";
    match blocks.get(12..)? {
        [3, 1, low, high, ..] if known => Some([*low, *high]),
        _ => None,
    }
}
