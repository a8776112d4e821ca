//! Decodes still images.
//! Promise: whole or not at all; and only what `strip` put together, with a deadline and a bound on memory.

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageResult, Limits, RgbImage,
    codecs::{png::PngDecoder, webp::WebPDecoder},
};
use zune_core::{colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{Bounds, DAMAGED, Deadline, Kind, Rejection, Stripped, TOO_LARGE, deadline::Watched};

/// Decodes an image, which stays as it is.
pub(super) fn still(
    image: &mut Stripped,
    kind: Kind,
    bounds: &Bounds,
    deadline: Deadline,
) -> Result<DynamicImage, Rejection> {
    if kind == Kind::Jpeg {
        return jpeg(image, deadline);
    }
    let watched = Watched::new(&image.bytes, deadline);
    if kind == Kind::Png {
        decoded(PngDecoder::with_limits(watched, limits(bounds)), image, bounds, deadline)
    } else {
        decoded(WebPDecoder::new(watched), image, bounds, deadline)
    }
}

/// What decoders are told besides.
pub(super) fn limits(bounds: &Bounds) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(bounds.memory);
    limits
}

fn decoded(
    decoder: ImageResult<impl ImageDecoder>,
    image: &Stripped,
    bounds: &Bounds,
    deadline: Deadline,
) -> Result<DynamicImage, Rejection> {
    let decoder = decoder.map_err(deadline.because())?;
    if decoder.dimensions() != (image.width, image.height) {
        return Err(DAMAGED.into());
    }
    if decoder.total_bytes() > bounds.memory {
        return Err(TOO_LARGE.into());
    }
    DynamicImage::from_decoder(decoder).map_err(deadline.because())
}

/// The strict decoder, which `image` does not use: it takes what is missing for grey.
fn jpeg(image: &mut Stripped, deadline: Deadline) -> Result<DynamicImage, Rejection> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let end = image.bytes.len().saturating_sub(END.len());
    let ending = ending(&image.bytes);
    image.bytes.truncate(end);
    image.bytes.extend(ending);
    let pixels = read_jpeg(&image.bytes, options, deadline);
    image.bytes.truncate(end);
    image.bytes.extend(END);
    let (space, pixels) = pixels?;
    let (width, height) = (image.width, image.height);
    match space {
        ColorSpace::Luma => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    }
    .ok_or_else(|| DAMAGED.into())
}

/// EOI.
const END: [u8; 2] = [0xFF, 0xD9];

/// What the decoder gets to read instead of the end marker. Where that comes too early it fills up with zeros and says
/// nothing. So it gets as many zeros as it may read ahead of what it needs, and then what makes it fail: nothing, or,
/// when it must find the end of the last scan, a marker that is an error inside a scan and skipped behind it.
fn ending(bytes: &[u8]) -> &'static [u8] {
    const ZEROS: &[u8] = &[0; 16];
    const ZEROS_AND_MARKER: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF\x02\0\x02\xFF\xD9";
    let (mut at, mut progressive, mut restarts) = (2, false, false);
    // `strip` left only whole segments before the first scan.
    while let Some([0xFF, code, high, low, ..]) = bytes.get(at..) {
        match code {
            0xC2 => progressive = true,
            0xDD => restarts = true,
            0xDA => break,
            _ => {}
        }
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    match (progressive, restarts) {
        (false, _) => ZEROS,
        (true, false) => ZEROS_AND_MARKER,
        // Behind a restart that marker would be an error too. Such images are rare, and ends too early go unseen.
        (true, true) => &END,
    }
}

fn read_jpeg(bytes: &[u8], options: DecoderOptions, deadline: Deadline) -> Result<(ColorSpace, Vec<u8>), Rejection> {
    let mut decoder = JpegDecoder::new_with_options(Watched::new(bytes, deadline), options);
    decoder.decode_headers().map_err(deadline.because())?;
    let space = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or(DAMAGED)?];
    decoder.decode_into(&mut pixels).map_err(deadline.because())?;
    // It takes some errors of reading for the end.
    deadline.check()?;
    Ok((space, pixels))
}
