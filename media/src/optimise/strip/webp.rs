//! WebP: chunks in a RIFF (RFC 9649 §2).
//! Promise: bitstreams are as large as the canvas or frame that holds them (a decoder believes the bitstream and makes
//! room for it), and only they, the animation and the colour profile stay.

use image::metadata::Orientation;

use super::{Reader, Stripped, is_for, orientation, profile};

/// Flags of the extended format (§2.7.1).
const ICC: u8 = 0x20;
const ALPHA: u8 = 0x10;
const ANIMATION: u8 = 0x02;

/// What was found on the way.
#[derive(Default)]
struct Parts<'a> {
    /// Flags, width and height.
    extended: Option<(u8, u32, u32)>,
    image: Option<Bitstream<'a>>,
    alpha: Option<&'a [u8]>,
    animation: Option<&'a [u8]>,
    frames: Vec<Frame<'a>>,
    profile: Option<Vec<u8>>,
    orientation: Option<Orientation>,
}

struct Frame<'a> {
    /// Place, size, duration and flags, as they are.
    header: &'a [u8],
    image: Bitstream<'a>,
    alpha: Option<&'a [u8]>,
}

struct Bitstream<'a> {
    name: &'static [u8; 4],
    bytes: &'a [u8],
    width: u32,
    height: u32,
    alpha: bool,
}

pub(super) fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader::new(bytes);
    let [b'R', b'I', b'F', b'F', size @ ..] = reader.array::<8>()? else { return None };
    let mut reader = Reader::new(reader.take(usize::try_from(u32::from_le_bytes(size)).ok()?)?);
    reader.take(4).filter(|name| *name == b"WEBP")?;
    let mut parts = Parts::default();
    while !reader.rest().is_empty() {
        let (name, content) = chunk(&mut reader)?;
        match name {
            b"VP8X" if parts.extended.is_none() => parts.extended = Some(canvas(content)?),
            b"VP8 " | b"VP8L" if parts.image.is_none() => parts.image = Some(bitstream(name, content)?),
            b"ALPH" if parts.alpha.is_none() => parts.alpha = Some(content),
            b"ANIM" if parts.animation.is_none() => parts.animation = Some(content.get(..6)?),
            b"ANMF" => parts.frames.push(frame(content)?),
            b"ICCP" if parts.profile.is_none() => {
                parts.profile = profile(content.to_vec()).filter(|profile| is_for(profile, b"RGB "));
            }
            // Some programs put the prefix of JPEG before it.
            b"EXIF" if parts.orientation.is_none() => {
                parts.orientation = Some(orientation(content.strip_prefix(b"Exif\0\0").unwrap_or(content)));
            }
            // A second one would be shown by some and not by others.
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" => return None,
            _ => {}
        }
    }
    parts.assemble()
}

impl Parts<'_> {
    fn assemble(self) -> Option<Stripped> {
        let animated = self.extended.is_some_and(|(flags, ..)| flags & ANIMATION != 0);
        let (mut width, mut height, mut alpha, mut lossless) = (0, 0, self.alpha.is_some(), true);
        let mut chunks = Vec::new();
        if animated {
            push(&mut chunks, b"ANIM", &[self.animation?]);
            alpha = self.extended.is_some_and(|(flags, ..)| flags & ALPHA != 0);
            for frame in &self.frames {
                let mut inside = Vec::new();
                frame.image.push(frame.alpha, &mut inside);
                push(&mut chunks, b"ANMF", &[frame.header, &inside]);
                lossless &= frame.image.name == b"VP8L";
            }
        } else {
            let image = self.image.as_ref()?;
            (width, height, lossless) = (image.width, image.height, image.name == b"VP8L");
            alpha |= image.alpha;
            image.push(self.alpha, &mut chunks);
        }
        if let Some((_, wide, high)) = self.extended {
            if !animated && (wide, high) != (width, height) {
                return None;
            }
            (width, height) = (wide, high);
        }
        let bytes = container(width, height, alpha, animated, self.profile.as_deref(), &chunks);
        let frames = if animated { u32::try_from(self.frames.len()).ok()? } else { 1 };
        let working = u64::from(width) * u64::from(height) * working(animated, lossless, alpha);
        let orientation = self.orientation.unwrap_or(Orientation::NoTransforms);
        let (profile, colour, pixel) = (self.profile, Vec::new(), if animated || alpha { 4 } else { 3 });
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

/// Bytes a pixel that decoding takes.
fn working(animated: bool, lossless: bool, alpha: bool) -> u64 {
    match (animated, lossless, alpha) {
        // The canvas, a frame, and their copies.
        (true, _, _) => 28,
        (false, true, true) => 5,
        // Three more when they are copied without alpha.
        (false, true, false) => 8,
        // The pixels, the planes of which they are made, and transparency that is lossless itself.
        (false, false, true) => 11,
        (false, false, false) => 5,
    }
}

impl Bitstream<'_> {
    fn push(&self, alpha: Option<&[u8]>, chunks: &mut Vec<u8>) {
        if let Some(alpha) = alpha.filter(|_| self.name == b"VP8 ") {
            push(chunks, b"ALPH", &[alpha]);
        }
        push(chunks, self.name, &[self.bytes]);
    }
}

/// The next chunk (§2.3). The pad of the last one may be missing.
fn chunk<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8; 4], &'a [u8])> {
    let name = reader.rest().first_chunk()?;
    reader.take(4)?;
    let length = usize::try_from(u32::from_le_bytes(reader.array()?)).ok()?;
    let content = reader.take(length)?;
    if length % 2 == 1 {
        let _pad = reader.byte();
    }
    Some((name, content))
}

fn push(chunks: &mut Vec<u8>, name: &[u8; 4], parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    chunks.extend_from_slice(name);
    chunks.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    parts.iter().for_each(|part| chunks.extend_from_slice(part));
    if length % 2 == 1 {
        chunks.push(0);
    }
}

fn u24(bytes: [u8; 3]) -> u32 {
    let [low, middle, high] = bytes;
    u32::from_le_bytes([low, middle, high, 0])
}

/// §2.7.1: flags, three bytes for later, and the size of the canvas less one.
fn canvas(content: &[u8]) -> Option<(u8, u32, u32)> {
    let mut reader = Reader::new(content);
    let [flags, ..] = reader.array::<4>()?;
    Some((flags, u24(reader.array()?) + 1, u24(reader.array()?) + 1))
}

/// The size that a bitstream gives itself: RFC 6386 §9.1 (lossy), RFC 9649 §3.4 (lossless).
fn bitstream<'a>(name: &[u8; 4], bytes: &'a [u8]) -> Option<Bitstream<'a>> {
    let mut reader = Reader::new(bytes);
    if name == b"VP8 " {
        let [tag, _, _, 0x9D, 0x01, 0x2A] = reader.array()? else { return None };
        let size = |two| u32::from(u16::from_le_bytes(two) & 0x3FFF);
        let (width, height) = (size(reader.array()?), size(reader.array()?));
        return (tag & 1 == 0).then_some(Bitstream { name: b"VP8 ", bytes, width, height, alpha: false });
    }
    let [0x2F, bits @ ..] = reader.array::<5>()? else { return None };
    let bits = u32::from_le_bytes(bits);
    let (width, height) = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
    let alpha = bits >> 28 & 1 == 1;
    Some(Bitstream { name: b"VP8L", bytes, width, height, alpha })
}

/// §2.7.1.1: sixteen bytes, then the frame's own chunks.
fn frame(content: &[u8]) -> Option<Frame<'_>> {
    let mut reader = Reader::new(content);
    let header = reader.take(16)?;
    let mut place = Reader::new(header.get(6..)?);
    let (width, height) = (u24(place.array()?) + 1, u24(place.array()?) + 1);
    let (mut image, mut alpha) = (None, None);
    while !reader.rest().is_empty() {
        match chunk(&mut reader)? {
            (name @ (b"VP8 " | b"VP8L"), content) if image.is_none() => image = Some(bitstream(name, content)?),
            (b"ALPH", content) if alpha.is_none() => alpha = Some(content),
            _ => {}
        }
    }
    let image = image.filter(|image| (image.width, image.height) == (width, height))?;
    Some(Frame { header, image, alpha })
}

/// One frame of an animation that is put together anew: the whole canvas, not blended with what was before.
pub(in super::super) fn push_frame(chunks: &mut Vec<u8>, encoded: &[u8], width: u32, height: u32, milliseconds: u32) {
    const DO_NOT_BLEND: u8 = 0x02;
    let mut header = vec![0; 6];
    for number in [width.saturating_sub(1), height.saturating_sub(1), milliseconds.min(0x00FF_FFFF)] {
        header.extend(number.to_le_bytes().into_iter().take(3));
    }
    header.push(DO_NOT_BLEND);
    push(chunks, b"ANMF", &[&header, image_chunks(encoded)]);
}

/// How often an animation plays, and a background without colour (§2.7.1.1); zero is for ever.
pub(in super::super) fn push_animation(chunks: &mut Vec<u8>, plays: u16) {
    push(chunks, b"ANIM", &[&[0; 4], &plays.to_le_bytes()]);
}

/// What encoders put into a container of their own, without it.
pub(in super::super) fn image_chunks(encoded: &[u8]) -> &[u8] {
    let chunks = encoded.get(12..).unwrap_or_default();
    // VP8X: eight and ten bytes.
    if chunks.starts_with(b"VP8X") { chunks.get(18..).unwrap_or_default() } else { chunks }
}

/// A file around chunks: the simple format when they are one image, else the extended one (§2.5 to §2.7).
pub(in super::super) fn container(
    width: u32,
    height: u32,
    alpha: bool,
    animated: bool,
    profile: Option<&[u8]>,
    chunks: &[u8],
) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
    if animated || profile.is_some() || chunks.starts_with(b"ALPH") {
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let mut extended = vec![flag(profile.is_some(), ICC) | flag(alpha, ALPHA) | flag(animated, ANIMATION), 0, 0, 0];
        for side in [width, height] {
            extended.extend(side.saturating_sub(1).to_le_bytes().into_iter().take(3));
        }
        push(&mut file, b"VP8X", &[&extended]);
    }
    if let Some(profile) = profile {
        push(&mut file, b"ICCP", &[profile]);
    }
    file.extend_from_slice(chunks);
    let size = u32::try_from(file.len() - 8).unwrap_or(u32::MAX).to_le_bytes();
    file.iter_mut().skip(4).zip(size).for_each(|(place, byte)| *place = byte);
    file
}
