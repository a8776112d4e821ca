//! Makes images smaller.
//! Promise: never larger, never without a pixel, and with little more memory than the image has already.

use fast_image_resize::{FilterType, MulDiv, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};

use super::{DAMAGED, Rejection};

/// The largest size of the same shape inside a box; the size itself when it fits.
pub(super) fn inside(width: u32, height: u32, most_width: u32, most_height: u32) -> (u32, u32) {
    if width <= most_width && height <= most_height {
        return (width, height);
    }
    let (wide, high) = (u64::from(width), u64::from(height));
    let (most_wide, most_high) = (u64::from(most_width), u64::from(most_height));
    // The side that is further outside becomes exactly its bound, the other is rounded.
    let (wide, high) = if wide * most_high >= high * most_wide {
        (most_wide, (high * most_wide + wide / 2) / wide.max(1))
    } else {
        ((wide * most_high + high / 2) / high.max(1), most_high)
    };
    (side(wide, most_width), side(high, most_height))
}

fn side(pixels: u64, most: u32) -> u32 {
    u32::try_from(pixels).unwrap_or(most).clamp(1, most.max(1))
}

/// Bytes that fitting takes besides the image, whose pixels have so many bytes: what is left of it once averaged; or
/// rows that are narrow already, and the result.
pub(super) fn memory(width: u32, height: u32, bytes_per_pixel: u64, target: (u32, u32)) -> u64 {
    if target == (width, height) {
        return 0;
    }
    let factor = factor(width, height, target);
    let pixels = if factor > 1 {
        // The large one is gone when this one is resized.
        u64::from(width / factor) * u64::from(height / factor)
    } else {
        u64::from(target.0) * (u64::from(height) + u64::from(target.1))
    };
    pixels * bytes_per_pixel
}

/// By how much pixels are averaged in place before the fine work. What is left to do is 1.4 to 2.8 times, where the
/// eye sees no difference (Pillow calls it `reducing_gap`).
fn factor(width: u32, height: u32, target: (u32, u32)) -> u32 {
    let side = |side: u32, target: u32| u64::from(side) * 5 / (u64::from(target.max(1)) * 7);
    u32::try_from(side(width, target.0).min(side(height, target.1))).unwrap_or(u32::MAX).max(1)
}

/// Makes an image exactly so large, which is not larger than it is.
pub(super) fn fit(mut image: DynamicImage, target: (u32, u32)) -> Result<DynamicImage, Rejection> {
    if (image.width(), image.height()) == target {
        return Ok(image);
    }
    let factor = factor(image.width(), image.height(), target);
    // Colours count by their opacity: else what is invisible would shine through at the edges.
    let alpha = image.color().has_alpha();
    if alpha {
        MulDiv::new().multiply_alpha_inplace(&mut image).map_err(|_| DAMAGED)?;
    }
    let image = average(image, factor).ok_or(DAMAGED)?;
    let mut fitted = DynamicImage::new(target.0, target.1, image.color());
    let filter = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false);
    Resizer::new().resize(&image, &mut fitted, &filter).map_err(|_| DAMAGED)?;
    if alpha {
        MulDiv::new().divide_alpha_inplace(&mut fitted).map_err(|_| DAMAGED)?;
    }
    Ok(fitted)
}

/// Averages squares of pixels, in place. Kinds of pixels that are rare or short-lived are left to the fine work.
fn average(image: DynamicImage, factor: u32) -> Option<DynamicImage> {
    let (width, height) = (image.width() / factor.max(1), image.height() / factor.max(1));
    let from = image.width();
    match image {
        image if factor <= 1 => Some(image),
        DynamicImage::ImageLuma8(pixels) => {
            GrayImage::from_raw(width, height, squares::<1>(pixels.into_raw(), from, factor)?).map(DynamicImage::from)
        }
        DynamicImage::ImageRgb8(pixels) => {
            RgbImage::from_raw(width, height, squares::<3>(pixels.into_raw(), from, factor)?).map(DynamicImage::from)
        }
        DynamicImage::ImageRgba8(pixels) => {
            RgbaImage::from_raw(width, height, squares::<4>(pixels.into_raw(), from, factor)?).map(DynamicImage::from)
        }
        other => Some(other),
    }
}

/// A square's average is written where its row of squares begins or before, which was read already. Columns and rows
/// at the end that fill no square are left out: less than a square of thousands.
fn squares<const N: usize>(mut pixels: Vec<u8>, width: u32, factor: u32) -> Option<Vec<u8>> {
    let (width, factor) = (usize::try_from(width).ok()?, usize::try_from(factor).ok()?);
    let columns = width.checked_div(factor)?;
    let rows = pixels.len().checked_div(width * N)?.checked_div(factor)?;
    let area = u32::try_from(factor * factor).ok()?;
    let mut sums = vec![[0_u32; N]; columns];
    for row in 0..rows {
        sums.fill([0; N]);
        for line in pixels.chunks_exact(width * N).skip(row * factor).take(factor) {
            let (line, _) = line.as_chunks::<N>();
            for (sum, square) in sums.iter_mut().zip(line.chunks_exact(factor)) {
                for pixel in square {
                    sum.iter_mut().zip(pixel).for_each(|(sum, part)| *sum += u32::from(*part));
                }
            }
        }
        let averages = sums.iter().flatten().map(|sum| u8::try_from((sum + area / 2) / area).unwrap_or(u8::MAX));
        let into = pixels.get_mut(row * columns * N..)?;
        into.iter_mut().zip(averages).for_each(|(into, average)| *into = average);
    }
    pixels.truncate(rows * columns * N);
    pixels.shrink_to_fit();
    Some(pixels)
}
