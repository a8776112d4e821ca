//! JPEG: segments (ITU-T T.81, annex B).
//! Promise: of the application segments only those stay that decoding needs: JFIF without its thumbnail, Adobe's
//! colour transform, and the colour profile.

use image::metadata::Orientation;

use super::{PROFILE, Reader, Stripped, orientation, profile};

const ICC: &[u8] = b"ICC_PROFILE\0";

/// What the frame header says.
#[derive(Default)]
struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    /// Horizontal and vertical sampling of each component.
    sampling: Vec<(u8, u8)>,
}

/// What was found on the way.
#[derive(Default)]
struct Parts<'a> {
    kept: Vec<u8>,
    frame: Option<Frame>,
    scans: u32,
    /// Whether a scan brings less than all components.
    in_parts: bool,
    turned: Option<Orientation>,
    profile: Vec<&'a [u8]>,
    /// Where the profile goes: behind JFIF, which wants to be first.
    profile_at: usize,
}

pub(super) fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader::new(bytes);
    let mut parts = Parts { kept: Vec::with_capacity(bytes.len() + 32), profile_at: 2, ..Parts::default() };
    parts.kept.extend_from_slice(&reader.array::<2>()?);
    loop {
        match marker(&mut reader)? {
            0xD9 => break,
            0x01 | 0xD0..=0xD7 => {}
            0x02..=0xBF | 0xD8 => return None,
            code => {
                let length = u16::from_be_bytes(reader.array()?).checked_sub(2)?;
                let content = reader.take(usize::from(length))?;
                parts.take(code, content)?;
                if code == 0xDA {
                    entropy(&mut reader, &mut parts.kept)?;
                }
            }
        }
    }
    parts.assemble()
}

impl<'a> Parts<'a> {
    fn take(&mut self, code: u8, content: &'a [u8]) -> Option<()> {
        match code {
            0xE0 if content.starts_with(b"JFIF\0") => {
                // Twelve bytes, and two for the size of a thumbnail: none.
                segment(&mut self.kept, code, &[content.get(..12)?, &[0, 0]]);
                self.profile_at = self.kept.len();
            }
            0xE1 if content.starts_with(b"Exif\0") && self.turned.is_none() => {
                self.turned = Some(orientation(content.get(6..).unwrap_or_default()));
            }
            0xE2 if content.starts_with(ICC) => self.profile.push(content.get(ICC.len()..)?),
            0xEE if content.starts_with(b"Adobe") => segment(&mut self.kept, code, &[content]),
            0xE0..=0xEF | 0xFE => {}
            _ => {
                segment(&mut self.kept, code, &[content]);
                self.read(code, content)?;
            }
        }
        Some(())
    }

    /// Looks into segments that stay.
    fn read(&mut self, code: u8, content: &[u8]) -> Option<()> {
        match code {
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF if self.frame.is_some() => return None,
            0xC0..=0xCF => self.frame = Some(read_frame(content, code)?),
            0xDA => {
                self.scans += 1;
                self.in_parts |= usize::from(*content.first()?) < self.frame.as_ref()?.sampling.len();
            }
            _ => {}
        }
        Some(())
    }

    fn assemble(self) -> Option<Stripped> {
        let mut bytes = self.kept;
        bytes.extend_from_slice(&[0xFF, 0xD9]);
        let frame = self.frame.filter(|_| self.scans > 0)?;
        let profile = joined(self.profile).and_then(profile);
        if let Some(profile) = &profile {
            insert_profile(&mut bytes, self.profile_at, profile);
        }
        let (pixel, working) = (frame.pixel(), frame.working(self.in_parts || frame.progressive));
        let (width, height) = (frame.width.into(), frame.height.into());
        let orientation = self.turned.unwrap_or(Orientation::NoTransforms);
        let (frames, animated, colour, lossless) = (1, false, Vec::new(), false);
        Some(Stripped {
            bytes,
            width,
            height,
            frames,
            animated,
            orientation,
            profile,
            colour,
            pixel,
            working,
            lossless,
        })
    }
}

/// The next marker; bytes between segments belong to nothing, and go.
fn marker(reader: &mut Reader<'_>) -> Option<u8> {
    loop {
        let at = reader.rest().iter().position(|byte| *byte == 0xFF)?;
        reader.take(at + 1)?;
        let mut code = reader.byte()?;
        while code == 0xFF {
            code = reader.byte()?;
        }
        if code != 0 {
            return Some(code);
        }
    }
}

fn segment(kept: &mut Vec<u8>, code: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 2;
    kept.extend_from_slice(&[0xFF, code]);
    kept.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    parts.iter().for_each(|part| kept.extend_from_slice(part));
}

/// Keeps entropy-coded data, up to the marker that ends it (B.1.1.5).
fn entropy(reader: &mut Reader<'_>, kept: &mut Vec<u8>) -> Option<()> {
    loop {
        let rest = reader.rest();
        let at = rest.iter().position(|byte| *byte == 0xFF)?;
        match rest.get(at + 1)? {
            0 | 0xD0..=0xD7 => kept.extend_from_slice(reader.take(at + 2)?),
            // A fill byte.
            0xFF => {
                kept.extend_from_slice(reader.take(at)?);
                reader.take(1)?;
            }
            _ => {
                kept.extend_from_slice(reader.take(at)?);
                return Some(());
            }
        }
    }
}

fn read_frame(content: &[u8], code: u8) -> Option<Frame> {
    let mut reader = Reader::new(content);
    let _precision = reader.byte()?;
    let (height, width) = (u16::from_be_bytes(reader.array()?), u16::from_be_bytes(reader.array()?));
    let components = reader.byte()?;
    let mut sampling = Vec::new();
    for _ in 0..components {
        let [_, factors, _] = reader.array()?;
        let (across, down) = (factors >> 4, factors & 15);
        if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
            return None;
        }
        sampling.push((across, down));
    }
    let known = (1..=4).contains(&components);
    known.then_some(Frame { width, height, progressive: code == 0xC2, sampling })
}

impl Frame {
    /// Grey stays grey; inks and differences of colour become red, green and blue.
    fn pixel(&self) -> u64 {
        if self.sampling.len() == 1 { 1 } else { 3 }
    }

    /// The pixels, and all coefficients when the scans bring them in parts (two bytes each, in blocks of 64).
    fn working(&self, coefficients: bool) -> u64 {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let most = |side: fn(&(u8, u8)) -> u8| u64::from(self.sampling.iter().map(side).max().unwrap_or(1));
        let (across, down) = (width.div_ceil(8 * most(|c| c.0)), height.div_ceil(8 * most(|c| c.1)));
        let blocks: u64 = self.sampling.iter().map(|(h, v)| across * u64::from(*h) * down * u64::from(*v)).sum();
        // The rows that are in work: sixteen, of sixteen bits, twice.
        let rows = width * self.sampling.len() as u64 * 64;
        width * height * self.pixel() + rows + if coefficients { blocks * 128 } else { 0 }
    }
}

/// A profile lies in numbered pieces, counted from one (ICC.1:2022, annex B.4).
fn joined(mut pieces: Vec<&[u8]>) -> Option<Vec<u8>> {
    pieces.sort_by_key(|piece| piece.first().copied());
    let count = pieces.len();
    let in_order = pieces.iter().enumerate().all(|(index, piece)| {
        let numbers = (piece.first().copied().map(usize::from), piece.get(1).copied().map(usize::from));
        numbers == (Some(index + 1), Some(count))
    });
    let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().skip(2)).copied().collect();
    (in_order && count > 0 && whole.len() <= PROFILE).then_some(whole)
}

fn insert_profile(kept: &mut Vec<u8>, at: usize, profile: &[u8]) {
    let most = usize::from(u16::MAX) - 2 - ICC.len() - 2;
    let count = u8::try_from(profile.len().div_ceil(most)).unwrap_or(u8::MAX);
    let mut segments = Vec::new();
    for (number, piece) in (1..=count).zip(profile.chunks(most)) {
        segment(&mut segments, 0xE2, &[ICC, &[number, count], piece]);
    }
    kept.splice(at..at, segments);
}
