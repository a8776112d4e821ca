//! Animated WebP and APNG.
//! Promise: every frame was decoded; inside the bounds they stay as they are, and beyond they become an animated WebP
//! of the same length and number of plays.

use image::{
    AnimationDecoder, Delay, DynamicImage, Frame, Frames, ImageDecoder,
    codecs::{png::PngDecoder, webp::WebPDecoder},
    metadata::{LoopCount, Orientation},
};

use super::{
    Bounds, DAMAGED, Deadline, Kind, Picture, Rejection, Stripped,
    deadline::Watched,
    decode,
    encode::{self, Effort},
    fit,
    strip::webp as container,
    target, thumbnail,
};

pub(super) fn optimise(image: Stripped, kind: Kind, bounds: &Bounds, deadline: Deadline) -> Result<Picture, Rejection> {
    let size = target(&image, bounds);
    let keep = size == (image.width, image.height) && image.orientation == Orientation::NoTransforms;
    let quality = (!image.lossless).then_some(bounds.quality);
    let (frames, plays) = frames(&image, kind, bounds, deadline)?;
    let mut fitted = Fitted { chunks: Vec::new(), alpha: false, size };
    container::push_animation(&mut fitted.chunks, plays);
    let (mut first, mut count) = (None, 0_u32);
    for frame in frames {
        let frame = frame.map_err(deadline.because())?;
        deadline.check()?;
        count += 1;
        if keep {
            first.get_or_insert_with(|| DynamicImage::from(frame.into_buffer()));
        } else {
            let shown = fitted.add(frame, image.orientation, quality)?;
            first.get_or_insert(shown);
        }
    }
    let first = first.filter(|_| count == image.frames).ok_or(DAMAGED)?;
    let (width, height) = (first.width(), first.height());
    let profile = image.profile.as_deref().filter(|profile| super::strip::is_for(profile, b"RGB "));
    let (kind, bytes) = if keep {
        (kind, image.bytes)
    } else {
        (Kind::Webp, container::container(width, height, fitted.alpha, true, profile, &fitted.chunks))
    };
    let thumbnail = thumbnail(first, profile, bounds)?;
    Ok(Picture { kind, bytes, width, height, thumbnail, changed: !keep })
}

/// The frames as they are shown, one at a time, and how often they play: zero is for ever.
fn frames<'a>(
    image: &'a Stripped,
    kind: Kind,
    bounds: &Bounds,
    deadline: Deadline,
) -> Result<(Frames<'a>, u16), Rejection> {
    let watched = Watched::new(&image.bytes, deadline);
    let plays = |count: LoopCount| match count {
        LoopCount::Infinite => 0,
        LoopCount::Finite(count) => u16::try_from(count.get()).unwrap_or(u16::MAX),
    };
    if kind == Kind::Png {
        let decoder = PngDecoder::with_limits(watched, decode::limits(bounds)).map_err(deadline.because())?;
        let decoder = decoder.apng().map_err(deadline.because())?;
        let plays = plays(decoder.loop_count());
        return Ok((decoder.into_frames(), plays));
    }
    let decoder = WebPDecoder::new(watched).map_err(deadline.because())?;
    if decoder.dimensions() != (image.width, image.height) {
        return Err(DAMAGED.into());
    }
    let plays = plays(decoder.loop_count());
    Ok((decoder.into_frames(), plays))
}

struct Fitted {
    chunks: Vec<u8>,
    alpha: bool,
    size: (u32, u32),
}

impl Fitted {
    /// Adds a frame. Gives it back as it is shown.
    fn add(&mut self, frame: Frame, turn: Orientation, quality: Option<f32>) -> Result<DynamicImage, Rejection> {
        let milliseconds = milliseconds(frame.delay());
        let mut shown = fit::fit(DynamicImage::from(frame.into_buffer()), self.size)?;
        shown.apply_orientation(turn);
        let shown = encode::without_needless_alpha(shown);
        self.alpha |= shown.color().has_alpha();
        let encoded = encode::webp(&shown, Effort::Frame(quality), None)?;
        container::push_frame(&mut self.chunks, &encoded, shown.width(), shown.height(), milliseconds);
        Ok(shown)
    }
}

fn milliseconds(delay: Delay) -> u32 {
    let (numerator, denominator) = delay.numer_denom_ms();
    (numerator + denominator / 2) / denominator.max(1)
}
