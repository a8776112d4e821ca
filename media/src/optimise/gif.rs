//! GIF, still or animated.
//! Promise: every frame was decoded; inside the bounds the file stays as it is, and beyond every frame is fitted, with
//! its delay and its transparency, into a GIF again.

use std::borrow::Cow;

use color_quant::NeuQuant;
use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, Encoder, Frame, MemoryLimit, Repeat};
use image::{DynamicImage, RgbaImage};

use super::{Bounds, DAMAGED, Deadline, Kind, Picture, Rejection, Stripped, deadline::Watched, fit, thumbnail};

pub(super) fn optimise(image: Stripped, bounds: &Bounds, deadline: Deadline) -> Result<Picture, Rejection> {
    let size = fit::inside(image.width, image.height, bounds.width, bounds.height);
    let keep = size == (image.width, image.height);
    let mut decoder = open(&image, bounds, deadline)?;
    let mut screen = Screen::new(image.width, image.height);
    let mut fitted = if keep { None } else { Some(Fitted::new(size, decoder.repeat())?) };
    let (mut first, mut count) = (None, 0_u32);
    while let Some(frame) = decoder.read_next_frame().map_err(deadline.because())? {
        deadline.check()?;
        count += 1;
        if first.is_some() && keep {
            continue;
        }
        let palette = frame.palette.clone();
        let (delay, frame) = (frame.delay, frame.clone());
        let palette = palette.as_deref().or(decoder.global_palette()).unwrap_or_default();
        let shown = fit::fit(DynamicImage::from(screen.show(&frame, palette).ok_or(DAMAGED)?), size)?;
        if let Some(fitted) = &mut fitted {
            fitted.add(shown.to_rgba8(), delay)?;
        }
        first.get_or_insert(shown);
    }
    let first = first.filter(|_| count == image.frames).ok_or(DAMAGED)?;
    drop(decoder);
    let bytes = match fitted {
        Some(fitted) => fitted.finish()?,
        None => image.bytes,
    };
    let thumbnail = thumbnail(first, None, bounds)?;
    Ok(Picture { kind: Kind::Gif, bytes, width: size.0, height: size.1, thumbnail, changed: !keep })
}

fn open<'a>(image: &'a Stripped, bounds: &Bounds, deadline: Deadline) -> Result<Decoder<Watched<'a>>, Rejection> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let memory = bounds.memory.try_into().map_err(|_| DAMAGED)?;
    options.set_memory_limit(MemoryLimit::Bytes(memory));
    options.read_info(Watched::new(&image.bytes, deadline)).map_err(deadline.because())
}

/// What a viewer shows, four bytes a pixel.
struct Screen {
    pixels: RgbaImage,
    /// How to leave the frame before, and what was there before it.
    leave: DisposalMethod,
    /// Left, top, width and height of the frame before.
    area: [u32; 4],
    before: Option<RgbaImage>,
}

impl Screen {
    fn new(width: u32, height: u32) -> Self {
        // Browsers take no notice of the background colour: it is transparent.
        Self { pixels: RgbaImage::new(width, height), leave: DisposalMethod::Keep, area: [0; 4], before: None }
    }

    /// Draws a frame over what the one before left (GIF89a §23). What lies outside the screen is not shown.
    fn show(&mut self, frame: &Frame<'_>, palette: &[u8]) -> Option<RgbaImage> {
        match self.leave {
            DisposalMethod::Background => self.clear(),
            DisposalMethod::Previous => {
                if let Some(before) = self.before.take() {
                    self.pixels = before;
                }
            }
            _ => {}
        }
        self.before = (frame.dispose == DisposalMethod::Previous).then(|| self.pixels.clone());
        self.leave = frame.dispose;
        self.area = [frame.left.into(), frame.top.into(), frame.width.into(), frame.height.into()];
        let colours = colours(palette, frame.transparent);
        let [left, top, wide, _] = self.area.map(usize::try_from).map(Result::unwrap_or_default);
        let width = usize::try_from(self.pixels.width()).ok()?;
        let rows = self.pixels.chunks_exact_mut(width * 4).skip(top);
        for (row, indexes) in rows.zip(frame.buffer.chunks_exact(wide.max(1))) {
            let (row, _) = row.get_mut((left * 4).min(width * 4)..)?.as_chunks_mut::<4>();
            for (pixel, index) in row.iter_mut().zip(indexes) {
                if let Some(Some(colour)) = colours.get(usize::from(*index)) {
                    *pixel = *colour;
                }
            }
        }
        Some(self.pixels.clone())
    }

    fn clear(&mut self) {
        let [left, top, wide, high] = self.area.map(usize::try_from).map(Result::unwrap_or_default);
        let width = usize::try_from(self.pixels.width()).unwrap_or_default().max(1);
        for row in self.pixels.chunks_exact_mut(width * 4).skip(top).take(high) {
            row.iter_mut().skip(left * 4).take(wide * 4).for_each(|part| *part = 0);
        }
    }
}

/// The colour of every index; none for the transparent one, and for what the palette does not have.
fn colours(palette: &[u8], transparent: Option<u8>) -> Vec<Option<[u8; 4]>> {
    let (colours, _) = palette.as_chunks::<3>();
    let mut colours: Vec<_> = colours.iter().map(|[red, green, blue]| Some([*red, *green, *blue, u8::MAX])).collect();
    if let Some(none) = transparent.and_then(|index| colours.get_mut(usize::from(index))) {
        *none = None;
    }
    colours
}

/// A GIF in the making. A frame is written when the next one is known: whether it must be cleared depends on that.
struct Fitted {
    encoder: Encoder<Vec<u8>>,
    size: (u16, u16),
    shown: Option<RgbaImage>,
    waiting: Option<Frame<'static>>,
}

/// The index of what is not drawn. The palette has 255 colours before it.
const NOTHING: u8 = 255;
/// From here on a pixel is drawn; a GIF knows no half.
const OPAQUE: u8 = 128;

impl Fitted {
    fn new((width, height): (u32, u32), repeat: Repeat) -> Result<Self, Rejection> {
        let size = (u16::try_from(width).map_err(|_| DAMAGED)?, u16::try_from(height).map_err(|_| DAMAGED)?);
        let mut encoder = Encoder::new(Vec::new(), size.0, size.1, &[]).map_err(|_| DAMAGED)?;
        if repeat != Repeat::Finite(0) {
            encoder.set_repeat(repeat).map_err(|_| DAMAGED)?;
        }
        Ok(Self { encoder, size, shown: None, waiting: None })
    }

    /// Adds what is shown for `delay` hundredths of a second.
    fn add(&mut self, shown: RgbaImage, delay: u16) -> Result<(), Rejection> {
        let before = self.shown.take();
        let vanishes = |before: &RgbaImage| {
            let mut pixels = before.pixels().zip(shown.pixels());
            pixels.any(|(before, now)| before[3] >= OPAQUE && now[3] < OPAQUE)
        };
        let clear = before.as_ref().is_some_and(vanishes);
        if let Some(mut waiting) = self.waiting.take() {
            waiting.dispose = if clear { DisposalMethod::Background } else { DisposalMethod::Keep };
            self.encoder.write_frame(&waiting).map_err(|_| DAMAGED)?;
        }
        let base = before.filter(|_| !clear);
        self.waiting = Some(frame(&shown, base.as_ref(), self.size, delay));
        self.shown = Some(shown);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, Rejection> {
        if let Some(waiting) = self.waiting.take() {
            self.encoder.write_frame(&waiting).map_err(|_| DAMAGED)?;
        }
        self.encoder.into_inner().map_err(|_| DAMAGED.into())
    }
}

/// Finds 255 colours for a frame, and draws only what differs from what is shown before.
fn frame(shown: &RgbaImage, before: Option<&RgbaImage>, size: (u16, u16), delay: u16) -> Frame<'static> {
    /// Pixels from which the colours are learned: enough for 255, and quick.
    const SAMPLE: usize = 1 << 16;
    let (pixels, _) = shown.as_chunks::<4>();
    let drawn = |pixel: &&[u8; 4]| pixel[3] >= OPAQUE;
    let step = (pixels.len() / SAMPLE).max(1);
    let mut sample: Vec<u8> = pixels.iter().step_by(step).filter(drawn).flatten().copied().collect();
    if sample.is_empty() {
        sample.extend([0, 0, 0, u8::MAX]);
    }
    let quantised = NeuQuant::new(10, usize::from(NOTHING), &sample);
    // Five bits of each part choose from a table, in which the first colour of its kind looks for the nearest one:
    // quicker than a search for every pixel, and right for areas of one colour.
    let mut nearest = vec![None; 1 << 15];
    let mut index = |pixel: &[u8; 4]| {
        let [red, green, blue, _] = pixel.map(|part| usize::from(part >> 3));
        let search = || u8::try_from(quantised.index_of(pixel)).unwrap_or_default();
        nearest.get_mut(red << 10 | green << 5 | blue).map_or(0, |found| *found.get_or_insert_with(search))
    };
    let mut indexes = Vec::with_capacity(pixels.len());
    let (old, _) = before.map(|before| before.as_chunks::<4>()).unwrap_or_default();
    for (at, pixel) in pixels.iter().enumerate() {
        let draws = drawn(&pixel) && old.get(at) != Some(pixel);
        indexes.push(if draws { index(pixel) } else { NOTHING });
    }
    let mut palette = quantised.color_map_rgb();
    palette.resize(256 * 3, 0);
    Frame {
        delay,
        width: size.0,
        height: size.1,
        transparent: Some(NOTHING),
        palette: Some(palette),
        buffer: Cow::Owned(indexes),
        ..Frame::default()
    }
}
