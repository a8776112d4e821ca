//! Takes an image's container apart and puts together what shows its pixels.
//! Promise: what comes out has no EXIF, XMP, IPTC, comment, text, thumbnail or unknown part, and nothing before or
//! behind the image; pixels, animation and (of bearable size) the colour profile stay bit for bit. Only this is ever
//! given to a decoder.

mod gif;
mod jpeg;
mod png;
pub(super) mod webp;

use image::metadata::Orientation;

use super::{Kind, Rejection};

/// A container without the rest, and what its structure says.
pub(super) struct Stripped {
    /// The image, as it may be kept.
    pub(super) bytes: Vec<u8>,
    /// In pixels, as stored; never zero.
    pub(super) width: u32,
    /// In pixels, as stored; never zero.
    pub(super) height: u32,
    /// One for a still image.
    pub(super) frames: u32,
    /// Whether it moves, or could.
    pub(super) animated: bool,
    /// How to turn it, by its EXIF.
    pub(super) orientation: Orientation,
    /// The colour profile (ICC.1), at most `PROFILE` bytes.
    pub(super) profile: Option<Vec<u8>>,
    /// PNG: the chunks that say what the colours mean, as they are.
    pub(super) colour: Vec<u8>,
    /// Bytes of a decoded pixel.
    pub(super) pixel: u64,
    /// Bytes that decoding takes besides those of the file: all pixels, and what is needed on the way.
    pub(super) working: u64,
    /// WebP: whether it is of the lossless kind.
    pub(super) lossless: bool,
}

/// Of a colour profile, in bytes. Those of screens and cameras have a few kilobytes; larger ones are of printers.
const PROFILE: usize = 256 << 10;

/// Takes an image of a known kind apart. What is checked at a cost is checked only up to so many pixels.
///
/// # Errors
/// When its structure is broken.
pub(super) fn strip(bytes: &[u8], kind: Kind, most_pixels: u64) -> Result<Stripped, Rejection> {
    let stripped = match kind {
        Kind::Jpeg => jpeg::strip(bytes),
        Kind::Png => png::strip(bytes, most_pixels),
        Kind::Gif => gif::strip(bytes),
        Kind::Webp => webp::strip(bytes),
        _ => None,
    };
    stripped
        .filter(|image| image.width > 0 && image.height > 0 && image.frames > 0)
        .ok_or_else(|| super::DAMAGED.into())
}

/// Reads a slice forwards; every answer is None where it ends.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..length)?;
        self.at += length;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.rest().first_chunk()?;
        self.at += N;
        Some(array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }
}

/// How an EXIF block (TIFF, without any prefix) wants its image turned.
fn orientation(exif: &[u8]) -> Orientation {
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// A profile that may be given on: of bearable size, and one at all (ICC.1:2022 §7.2, `acsp` at 36).
fn profile(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (bytes.len() <= PROFILE && bytes.get(36..40) == Some(b"acsp")).then_some(bytes)
}

/// Whether a profile is for colours of this kind: `RGB ` or `GRAY` at 16 (ICC.1:2022 §7.2.6). One for the inks of a
/// printer says nothing about the pixels that its image was decoded to.
pub(super) fn is_for(profile: &[u8], space: &[u8; 4]) -> bool {
    profile.get(16..20) == Some(space)
}
