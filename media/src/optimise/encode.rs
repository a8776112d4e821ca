//! Encodes what was decoded.
//! Promise: transparency and colours come out as they went in; the profile goes with the pixels that it is for.

use image::{
    DynamicImage, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use webp::{Encoder, WebPConfig};

use super::{DAMAGED, Rejection, strip::webp as container};

/// Drops a channel of transparency in which everything is opaque.
pub(super) fn without_needless_alpha(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgba8(pixels) if pixels.pixels().all(|pixel| pixel[3] == u8::MAX) => {
            DynamicImage::from(DynamicImage::from(pixels).into_rgb8())
        }
        DynamicImage::ImageLumaA8(pixels) if pixels.pixels().all(|pixel| pixel[1] == u8::MAX) => {
            DynamicImage::from(DynamicImage::from(pixels).into_luma8())
        }
        DynamicImage::ImageRgba16(pixels) if pixels.pixels().all(|pixel| pixel[3] == u16::MAX) => {
            DynamicImage::from(DynamicImage::from(pixels).into_rgb16())
        }
        DynamicImage::ImageLumaA16(pixels) if pixels.pixels().all(|pixel| pixel[1] == u16::MAX) => {
            DynamicImage::from(DynamicImage::from(pixels).into_luma16())
        }
        other => other,
    }
}

/// How a WebP is encoded.
#[derive(Clone, Copy)]
pub(super) enum Effort {
    /// Lossy, of a quality from 0 to 100.
    Lossy(f32),
    Lossless,
    /// As one frame of many, for which there is a tenth of the time.
    Frame(Option<f32>),
}

/// WebP, with a profile if there is one.
pub(super) fn webp(image: &DynamicImage, effort: Effort, profile: Option<&[u8]>) -> Result<Vec<u8>, Rejection> {
    let alpha = image.color().has_alpha();
    let (width, height) = (image.width(), image.height());
    let config = config(effort)?;
    let encoded = if alpha {
        let pixels = image.to_rgba8();
        Encoder::from_rgba(pixels.as_raw(), width, height).encode_advanced(&config)
    } else {
        let pixels = image.to_rgb8();
        Encoder::from_rgb(pixels.as_raw(), width, height).encode_advanced(&config)
    };
    let encoded = encoded.map_err(|_| DAMAGED)?;
    match profile {
        None => Ok(encoded.to_vec()),
        profile => Ok(container::container(width, height, alpha, false, profile, container::image_chunks(&encoded))),
    }
}

fn config(effort: Effort) -> Result<WebPConfig, Rejection> {
    let mut config = WebPConfig::new().map_err(|()| DAMAGED)?;
    let (quality, method) = match effort {
        Effort::Lossy(quality) => (Some(quality), 4),
        Effort::Lossless => (None, 2),
        Effort::Frame(Some(quality)) => (Some(quality), 0),
        Effort::Frame(None) => (None, 1),
    };
    config.method = method;
    // Of a lossless image it is not the quality but, again, the effort.
    config.quality = quality.unwrap_or(if method == 1 { 25.0 } else { 50.0 }).clamp(0.0, 100.0);
    config.lossless = i32::from(quality.is_none());
    Ok(config)
}

/// PNG, with the chunks that say what the colours mean.
pub(super) fn png(image: &DynamicImage, colour: &[u8]) -> Result<Vec<u8>, Rejection> {
    /// Signature and header, after which the colours stand (W3C PNG §5.6).
    const HEADER: usize = 8 + 25;
    let mut encoded = Vec::new();
    PngEncoder::new_with_quality(&mut encoded, CompressionType::Default, FilterType::Adaptive)
        .write_image(image.as_bytes(), image.width(), image.height(), image.color().into())
        .map_err(|_| DAMAGED)?;
    if encoded.len() < HEADER {
        return Err(DAMAGED.into());
    }
    encoded.splice(HEADER..HEADER, colour.iter().copied());
    Ok(encoded)
}
