//! Makes an uploaded image fit to be shown: upright, without metadata, inside the bounds, as small as it gets, with a
//! thumbnail.
//! Promise: what an image costs is known from its header and bounded before anything is decoded; what comes out was
//! decoded whole, and carries nothing that its uploader did not mean to show. It blocks: call it in a pool.

mod animation;
mod deadline;
mod decode;
mod encode;
mod fit;
mod gif;
mod strip;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use image::{DynamicImage, metadata::Orientation};

use self::{deadline::Deadline, encode::Effort, strip::Stripped};
use super::{inspect::Rejection, kind::Kind};

/// What an image may cost, and what it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Width times height at most. All frames of an animation together may have ten times as many.
    pub pixels: u64,
    /// Bytes of memory at most: file, pixels and what the decoder needs besides.
    pub memory: u64,
    /// How long it may take altogether. Looked at between steps and while reading.
    pub time: Duration,
    /// In pixels. Larger images are fitted inside, smaller ones are never enlarged.
    pub width: u32,
    /// In pixels, as `width`.
    pub height: u32,
    /// Both sides of the thumbnail at most, in pixels.
    pub thumbnail: u32,
    /// Of lossy WebP, 0 to 100.
    pub quality: f32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            pixels: 40_000_000,
            memory: 128 << 20,
            time: Duration::from_secs(5),
            width: 1920,
            height: 1080,
            thumbnail: 320,
            quality: 70.0,
        }
    }
}

/// An image that is ready to be shown.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What `bytes` are. A JPEG may have become a WebP.
    pub kind: Kind,
    /// The file to store.
    pub bytes: Vec<u8>,
    /// In pixels, upright.
    pub width: u32,
    /// In pixels, upright.
    pub height: u32,
    /// WebP, of the first frame.
    pub thumbnail: Vec<u8>,
    /// Whether the pixels were encoded anew, rather than kept.
    pub changed: bool,
}

const DAMAGED: &str = "This image is damaged, or of a rare kind. Open it in an image program, save it as PNG or JPEG, \
                       and upload that.";
const TOO_LARGE: &str = "This image needs too much memory to decode. Save it with fewer pixels, and upload that.";

/// Frames times pixels of an animation, in pixels of a still image.
const ANIMATION: u64 = 10;

/// Turns an image upright, strips it of metadata, fits it inside the bounds and makes its thumbnail.
///
/// JPEG and opaque WebP become lossy WebP; PNG, and WebP that is lossless and transparent, are encoded losslessly. When
/// that is not smaller and nothing had to be turned or fitted, the original pixels are kept bit for bit. Animations
/// inside the bounds are kept; larger ones are fitted frame by frame: GIF stays GIF, WebP becomes lossy WebP, APNG
/// lossless WebP.
///
/// # Errors
/// When it is beyond a bound or damaged, in words for the person who uploaded it.
pub fn optimise(bytes: Vec<u8>, kind: Kind, bounds: &Bounds) -> Result<Picture, Rejection> {
    // A decoder that panics has met an image that it cannot decode; nothing of it is used afterwards.
    catch_unwind(AssertUnwindSafe(|| run(bytes, kind, bounds))).unwrap_or_else(|_| Err(DAMAGED.into()))
}

fn run(bytes: Vec<u8>, kind: Kind, bounds: &Bounds) -> Result<Picture, Rejection> {
    let deadline = Deadline::after(bounds.time);
    let image = strip::strip(&bytes, kind, bounds.pixels)?;
    drop(bytes);
    refuse_too_large(&image, bounds)?;
    deadline.check()?;
    match kind {
        Kind::Gif => gif::optimise(image, bounds, deadline),
        _ if image.animated => animation::optimise(image, kind, bounds, deadline),
        _ => still(image, kind, bounds, deadline),
    }
}

/// From the header alone. The size is compared before it is multiplied by anything.
fn refuse_too_large(image: &Stripped, bounds: &Bounds) -> Result<(), Rejection> {
    let pixels = u64::from(image.width) * u64::from(image.height);
    if pixels > bounds.pixels {
        let (has, most) = (pixels.div_ceil(1_000_000), bounds.pixels / 1_000_000);
        return Err(format!(
            "This image has {has} megapixels, and {most} are accepted. Save it smaller, and upload that."
        )
        .into());
    }
    if pixels * u64::from(image.frames) > bounds.pixels.saturating_mul(ANIMATION) {
        return Err(
            "This animation has too many frames for its size. Save it shorter or smaller, and upload that.".into()
        );
    }
    let target = fit::inside(image.width, image.height, bounds.width, bounds.height);
    let fitting = fit::memory(image.width, image.height, image.pixel, target);
    let decoding = image.working + image.bytes.len() as u64;
    if decoding.max(pixels * image.pixel + fitting) > bounds.memory { Err(TOO_LARGE.into()) } else { Ok(()) }
}

fn still(mut image: Stripped, kind: Kind, bounds: &Bounds, deadline: Deadline) -> Result<Picture, Rejection> {
    let decoded = decode::still(&mut image, kind, bounds, deadline)?;
    deadline.check()?;
    let turned = image.orientation != Orientation::NoTransforms;
    let target = target(&image, bounds);
    let fitted = target != (image.width, image.height);
    let kept = if turned || fitted { None } else { Some(std::mem::take(&mut image.bytes)) };
    // Room for the pixels that are fitted.
    image.bytes = Vec::new();
    let mut decoded = fit::fit(decoded, target)?;
    decoded.apply_orientation(image.orientation);
    let decoded = encode::without_needless_alpha(decoded);
    deadline.check()?;
    let profile = image.profile.as_deref().filter(|profile| strip::is_for(profile, b"RGB "));
    let (width, height) = (decoded.width(), decoded.height());
    let (new_kind, encoded) = match kind {
        Kind::Png => (Kind::Png, encode::png(&decoded, &image.colour)?),
        _ => {
            let lossless = kind == Kind::Webp && image.lossless && decoded.color().has_alpha();
            let effort = if lossless { Effort::Lossless } else { Effort::Lossy(bounds.quality) };
            (Kind::Webp, encode::webp(&decoded, effort, profile)?)
        }
    };
    deadline.check()?;
    let thumbnail = thumbnail(decoded, profile, bounds)?;
    let (kind, bytes, changed) = match kept {
        Some(kept) if kept.len() <= encoded.len() => (kind, kept, false),
        _ => (new_kind, encoded, true),
    };
    Ok(Picture { kind, bytes, width, height, thumbnail, changed })
}

/// The size to fit to, as stored: the bounds hold for the upright image.
fn target(image: &Stripped, bounds: &Bounds) -> (u32, u32) {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match image.orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => {
            fit::inside(image.width, image.height, bounds.height, bounds.width)
        }
        _ => fit::inside(image.width, image.height, bounds.width, bounds.height),
    }
}

/// Of an upright image.
fn thumbnail(image: DynamicImage, profile: Option<&[u8]>, bounds: &Bounds) -> Result<Vec<u8>, Rejection> {
    /// A list of files shows many thumbnails: a larger profile would be most of them.
    const PROFILE: usize = 4096;
    let target = fit::inside(image.width(), image.height(), bounds.thumbnail, bounds.thumbnail);
    let small = encode::without_needless_alpha(fit::fit(image, target)?);
    encode::webp(&small, Effort::Lossy(bounds.quality), profile.filter(|profile| profile.len() <= PROFILE))
}

#[cfg(test)]
mod tests;
