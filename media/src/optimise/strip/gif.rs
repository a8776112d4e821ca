//! GIF: blocks (GIF89a).
//! Promise: of the extensions only delays, transparency and the loop stay; comments, XMP, plain text and whatever
//! programs left go.

use image::metadata::Orientation;

use super::{Reader, Stripped};

/// What was found on the way.
struct Parts<'a> {
    kept: Vec<u8>,
    frames: u32,
    /// Pixels of the largest frame.
    largest: u64,
    /// How the image that follows is shown (§23).
    control: Option<&'a [u8]>,
}

pub(super) fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader::new(bytes);
    let mut parts = Parts { kept: Vec::with_capacity(bytes.len()), frames: 0, largest: 0, control: None };
    // §17: what is kept needs the younger version.
    reader.take(6)?;
    parts.kept.extend_from_slice(b"GIF89a");
    let screen: [u8; 7] = reader.array()?;
    let [width_low, width_high, height_low, height_high, flags, ..] = screen;
    parts.kept.extend_from_slice(&screen);
    parts.kept.extend_from_slice(reader.take(colours(flags))?);
    loop {
        match reader.byte()? {
            0x3B => break,
            0x21 => parts.extension(&mut reader)?,
            0x2C => parts.image(&mut reader)?,
            _ => return None,
        }
    }
    parts.kept.push(0x3B);
    let width = u16::from_le_bytes([width_low, width_high]).into();
    let height = u16::from_le_bytes([height_low, height_high]).into();
    let (bytes, pixel, frames, animated, lossless) = (parts.kept, 4, parts.frames, parts.frames > 1, true);
    let (orientation, profile, colour) = (Orientation::NoTransforms, None, Vec::new());
    // The screen, the one before and a copy, four bytes a pixel; a frame twice, one byte.
    let working = u64::from(width) * u64::from(height) * 12 + parts.largest * 2;
    Some(Stripped { bytes, width, height, frames, animated, orientation, profile, colour, pixel, working, lossless })
}

impl<'a> Parts<'a> {
    fn extension(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let label = reader.byte()?;
        let start = reader.rest();
        let content = start.get(..blocks(reader)?)?;
        match label {
            // One block of four bytes; more would be a place to hide something.
            0xF9 => self.control = Some(content).filter(|content| content.len() == 6 && content.first() == Some(&4)),
            0xFF => {
                if let Some(plays) = plays(content) {
                    self.kept.extend_from_slice(b"\x21\xFF\x0BNETSCAPE2.0\x03\x01");
                    self.kept.extend_from_slice(&plays);
                    self.kept.push(0);
                }
            }
            // §25: plain text takes the control for itself; nobody shows it.
            0x01 => self.control = None,
            _ => {}
        }
        Some(())
    }

    fn image(&mut self, reader: &mut Reader<'a>) -> Option<()> {
        let start = reader.rest();
        let [_, _, _, _, wide, wider, high, higher, flags] = reader.array()?;
        let (wide, high) = (u16::from_le_bytes([wide, wider]), u16::from_le_bytes([high, higher]));
        // The table of colours, and a byte for the least size of a code.
        let table = colours(flags) + 1;
        reader.take(table)?;
        let length = 9 + table + blocks(reader)?;
        if let Some(control) = self.control.take() {
            self.kept.extend_from_slice(&[0x21, 0xF9]);
            self.kept.extend_from_slice(control);
        }
        self.kept.push(0x2C);
        self.kept.extend_from_slice(start.get(..length)?);
        self.largest = self.largest.max(u64::from(wide) * u64::from(high));
        self.frames += 1;
        Some(())
    }
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
