//! PNG and APNG: chunks (W3C PNG, third edition).
//! Promise: what shows pixels and colours stays, in its order; every other chunk goes, known or not.

use std::io::Read;

use flate2::read::ZlibDecoder;
use image::metadata::Orientation;

use super::{PROFILE, Reader, Stripped, is_for, orientation, profile};

/// §11.3.2: what the colours mean. Carried over to a PNG that is encoded anew.
const COLOURS: &[&[u8; 4]] = &[b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI"];
/// §11.3: how pixels are shown; only with the pixels as they are.
const SHOWING: &[&[u8; 4]] = &[b"sBIT", b"bKGD", b"pHYs", b"fdAT"];

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What was found on the way.
struct Parts<'a> {
    kept: Vec<u8>,
    header: Option<Header>,
    colour: Vec<u8>,
    profile: Option<Vec<u8>>,
    data: Vec<&'a [u8]>,
    turned: Orientation,
    /// How many frames an animation says that it has, and has.
    frames: Option<u32>,
    controls: u32,
    see_through: bool,
}

pub(super) fn strip(bytes: &[u8], most_pixels: u64) -> Option<Stripped> {
    let mut reader = Reader::new(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(reader.take(SIGNATURE.len()).filter(|start| *start == SIGNATURE)?);
    let (header, colour, profile, data, turned) = (None, Vec::new(), None, Vec::new(), Orientation::NoTransforms);
    let (frames, controls, see_through) = (None, 0, false);
    let mut parts = Parts { kept, header, colour, profile, data, turned, frames, controls, see_through };
    loop {
        let whole = reader.rest();
        let length = usize::try_from(u32::from_be_bytes(reader.array()?)).ok()?;
        let name: [u8; 4] = reader.array()?;
        let content = reader.take(length)?;
        reader.take(4)?;
        let whole = whole.get(..length + 12)?;
        if parts.stays(&name, content)? {
            if COLOURS.contains(&&name) && parts.data.is_empty() {
                parts.colour.extend_from_slice(whole);
            }
            parts.kept.extend_from_slice(whole);
        }
        if &name == b"IEND" {
            return parts.assemble(most_pixels);
        }
    }
}

impl<'a> Parts<'a> {
    /// Looks into a chunk. None: the image is broken.
    fn stays(&mut self, name: &[u8; 4], content: &'a [u8]) -> Option<bool> {
        match name {
            b"IHDR" if self.header.is_none() => self.header = Some(Header::read(content)?),
            // Nothing stands before the header (§5.6).
            _ if self.header.is_none() => return None,
            b"IEND" | b"PLTE" => {}
            b"IDAT" => self.data.push(content),
            b"tRNS" => self.see_through = true,
            b"acTL" if self.frames.is_none() => self.frames = Some(u32::from_be_bytes(*content.first_chunk()?)),
            b"fcTL" => self.controls += 1,
            b"eXIf" => {
                self.turned = orientation(content);
                return Some(false);
            }
            b"iCCP" if self.profile.is_some() => return Some(false),
            b"iCCP" => {
                self.profile = read_profile(content, self.header.as_ref()?.grey);
                return Some(self.profile.is_some());
            }
            // §5.4: a chunk with a capital letter must be understood.
            [first, ..] if first.is_ascii_uppercase() => return None,
            name => return Some(COLOURS.contains(&name) || SHOWING.contains(&name)),
        }
        Some(true)
    }

    fn assemble(self, most_pixels: u64) -> Option<Stripped> {
        let header = self.header?;
        // What has too many pixels is refused next, and not worth the work.
        if u64::from(header.width) * u64::from(header.height) <= most_pixels {
            header.data_fits(&self.data)?;
        }
        // A frame too many is never shown, one too few never comes.
        let (animated, frames) = (self.frames.is_some(), self.frames.unwrap_or(1));
        if frames != self.controls.max(u32::from(!animated)) {
            return None;
        }
        let (width, height, lossless) = (header.width, header.height, true);
        let pixel = if animated { 4 } else { header.pixel(self.see_through) };
        // Of an animation the picture, the one before, the frame, and where it is cleared.
        let working = u64::from(width) * u64::from(height) * if animated { 36 } else { pixel };
        let (bytes, orientation, profile, colour) = (self.kept, self.turned, self.profile, self.colour);
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

struct Header {
    width: u32,
    height: u32,
    depth: u8,
    bits_per_pixel: u64,
    interlaced: bool,
    grey: bool,
    /// Transparency in every pixel, without a chunk for it.
    alpha: bool,
}

impl Header {
    /// §11.2.1.
    fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let (width, height) = (u32::from_be_bytes(reader.array()?), u32::from_be_bytes(reader.array()?));
        let [depth, colour, compression, filter, interlace] = reader.array()?;
        let channels = match (colour, depth) {
            (0, 1 | 2 | 4 | 8 | 16) | (3, 1 | 2 | 4 | 8) => 1,
            (2, 8 | 16) => 3,
            (4, 8 | 16) => 2,
            (6, 8 | 16) => 4,
            _ => return None,
        };
        let most = i32::MAX.cast_unsigned();
        let known = compression == 0 && filter == 0 && interlace <= 1 && width <= most && height <= most;
        let (bits_per_pixel, interlaced) = (channels * u64::from(depth), interlace == 1);
        let (grey, alpha) = (matches!(colour, 0 | 4), matches!(colour, 4 | 6));
        known.then_some(Self { width, height, depth, bits_per_pixel, interlaced, grey, alpha })
    }

    /// Bytes of a pixel as it is decoded: palettes and small depths are expanded.
    fn pixel(&self, see_through: bool) -> u64 {
        let colours = if self.grey { 1 } else { 3 };
        (colours + u64::from(self.alpha || see_through)) * if self.depth == 16 { 2 } else { 1 }
    }

    /// How many bytes the image data has when it is inflated: for each row a filter byte and its pixels, in seven
    /// passes when interlaced (§8.1).
    fn inflated(&self) -> u64 {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let rows = |across: u64, down: u64| match across {
            0 => 0,
            _ => down * (1 + (across * self.bits_per_pixel).div_ceil(8)),
        };
        if !self.interlaced {
            return rows(width, height);
        }
        // Column and row at which a pass begins, and its steps.
        let passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        let pass = |(x, y, across, down): (u64, u64, u64, u64)| {
            rows(width.saturating_sub(x).div_ceil(across), height.saturating_sub(y).div_ceil(down))
        };
        passes.into_iter().map(pass).sum()
    }

    /// Whether the image data gives what the header says, and no more. Decoders stop when they have their pixels: the
    /// rest would be carried along.
    fn data_fits(&self, data: &[&[u8]]) -> Option<()> {
        let pieces = Pieces { pieces: data, at: 0 };
        let wanted = self.inflated();
        let mut inflated = ZlibDecoder::new(pieces).take(wanted + 1);
        (std::io::copy(&mut inflated, &mut std::io::sink()).ok()? == wanted).then_some(())
    }
}

/// Slices one after the other.
struct Pieces<'a> {
    pieces: &'a [&'a [u8]],
    at: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while let Some((first, others)) = self.pieces.split_first() {
            let mut rest = first.get(self.at..).unwrap_or_default();
            if !rest.is_empty() {
                let read = rest.read(into)?;
                self.at += read;
                return Ok(read);
            }
            (self.pieces, self.at) = (others, 0);
        }
        Ok(0)
    }
}

/// §11.3.2.3: a name, a zero, a zero for deflate, and the profile. One for another kind of colours goes.
fn read_profile(content: &[u8], grey: bool) -> Option<Vec<u8>> {
    let name = content.iter().take(80).position(|byte| *byte == 0)?;
    let packed = content.get(name + 2..)?;
    let mut bytes = Vec::new();
    ZlibDecoder::new(packed).take(PROFILE as u64 + 1).read_to_end(&mut bytes).ok()?;
    profile(bytes).filter(|profile| is_for(profile, if grey { b"GRAY" } else { b"RGB " }))
}
