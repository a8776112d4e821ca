//! What comes out: upright, small, without metadata, with its colours and its transparency.

use std::{
    io::Cursor,
    time::{Duration, Instant},
};

use image::{AnimationDecoder, DynamicImage, ImageDecoder, Rgba, RgbaImage};

use super::{Bounds, Picture, fit, optimise};
use crate::{
    dice::Dice,
    files::{self, CORNERS},
    inspect::Rejection,
    kind::Kind,
};

fn made(bytes: Vec<u8>, kind: Kind) -> Picture {
    optimise(bytes, kind, &patient()).expect("an image")
}

/// The bounds, on a machine that builds something else meanwhile.
fn patient() -> Bounds {
    Bounds { time: Duration::from_secs(60), ..Bounds::default() }
}

fn decoded(bytes: &[u8]) -> DynamicImage {
    image::load_from_memory(bytes).expect("it decodes")
}

fn has(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

fn near(pixel: Rgba<u8>, colour: [u8; 3]) -> bool {
    pixel.0.iter().zip(colour).all(|(is, should)| is.abs_diff(should) < 30)
}

/// Asserts the colours of the quarters, clockwise from the top left.
fn assert_quarters(image: &DynamicImage, corners: [[u8; 3]; 4]) {
    let image = image.to_rgba8();
    let (right, bottom) = (image.width() * 3 / 4, image.height() * 3 / 4);
    let (left, top) = (image.width() / 4, image.height() / 4);
    for ((x, y), colour) in [(left, top), (right, top), (right, bottom), (left, bottom)].into_iter().zip(corners) {
        assert!(near(*image.get_pixel(x, y), colour), "{:?} at {x}, {y} is not {colour:?}", image.get_pixel(x, y));
    }
}

#[test]
fn a_photo_is_turned_fitted_and_stripped() {
    let photo = files::photo();
    assert!(photo.len() > 4_000_000 && photo.len() < 8_000_000, "{}", photo.len());
    let picture = made(photo.clone(), Kind::Jpeg);
    assert_eq!((picture.kind, picture.width, picture.height, picture.changed), (Kind::Webp, 810, 1080, true));
    assert!(picture.bytes.len() < photo.len() / 10, "{}", picture.bytes.len());
    let [red, green, blue, yellow] = CORNERS;
    // Orientation 6: what is stored at the left is shown at the top.
    assert_quarters(&decoded(&picture.bytes), [yellow, red, green, blue]);
    let thumbnail = decoded(&picture.thumbnail);
    assert_eq!((thumbnail.width(), thumbnail.height()), (240, 320));
    assert_quarters(&thumbnail, [yellow, red, green, blue]);
    for bytes in [&picture.bytes, &picture.thumbnail] {
        assert!(!has(bytes, files::CAMERA) && !has(bytes, files::SECRET) && !has(bytes, "Exif"));
    }
}

#[test]
fn every_orientation_comes_out_upright() {
    let [a, b, c, d] = CORNERS;
    let jpeg = files::jpeg(&DynamicImage::from(files::quarters(160, 120, 0)), 95);
    let shown = [
        [a, b, c, d],
        [b, a, d, c],
        [c, d, a, b],
        [d, c, b, a],
        [a, d, c, b],
        [d, a, b, c],
        [c, b, a, d],
        [b, c, d, a],
    ];
    for (orientation, corners) in (1..).zip(shown) {
        let picture = made(files::with_exif(&jpeg, orientation), Kind::Jpeg);
        assert_quarters(&decoded(&picture.bytes), corners);
        let size = if orientation < 5 { (160, 120) } else { (120, 160) };
        assert_eq!((picture.width, picture.height), size, "orientation {orientation}");
        assert!(orientation == 1 || picture.changed);
    }
    let png =
        files::with_chunk(&files::png(&DynamicImage::from(files::quarters(160, 120, 0))), b"eXIf", &files::exif(6));
    let picture = made(png, Kind::Png);
    assert_eq!((picture.kind, picture.changed, picture.width), (Kind::Png, true, 120));
    assert_quarters(&decoded(&picture.bytes), [d, a, b, c]);
}

#[test]
fn a_logo_keeps_every_pixel_and_its_transparency() {
    let logo = files::logo();
    let picture = made(logo.clone(), Kind::Png);
    assert_eq!((picture.kind, picture.width, picture.height), (Kind::Png, 480, 320));
    assert_eq!(decoded(&picture.bytes).to_rgba8(), decoded(&logo).to_rgba8());
    assert!(!has(&picture.bytes, files::SECRET) && picture.bytes.len() <= logo.len());
    let thumbnail = decoded(&picture.thumbnail).to_rgba8();
    assert_eq!(
        (thumbnail.dimensions(), thumbnail.get_pixel(0, 0)[3], thumbnail.get_pixel(160, 106)[3]),
        ((320, 213), 0, 255)
    );
}

#[test]
fn what_does_not_become_smaller_is_kept_without_its_metadata() {
    let jpeg = coarse();
    let picture = made(files::with_exif(&jpeg, 1), Kind::Jpeg);
    assert!(!picture.changed && picture.kind == Kind::Jpeg);
    assert_eq!(decoded(&picture.bytes), decoded(&jpeg));
    assert!(!has(&picture.bytes, "Exif") && !has(&picture.bytes, files::SECRET));
    let behind = [jpeg.as_slice(), b"\0\0\0\x18ftypmp42 a film"].concat();
    assert!(!has(&made(behind, Kind::Jpeg).bytes, "ftyp"));
    let once = made(files::picture(), Kind::Webp);
    let twice = made(once.bytes.clone(), Kind::Webp);
    assert!(twice.bytes.len() <= once.bytes.len() && !has(&once.bytes, files::CAMERA));
}

#[test]
fn webp_with_transparency_keeps_it() {
    let logo = decoded(&files::logo()).to_rgba8();
    let encoder = webp::Encoder::from_rgba(logo.as_raw(), 480, 320);
    for (encoded, exact) in [(encoder.encode_lossless().to_vec(), true), (encoder.encode(80.0).to_vec(), false)] {
        let picture = made(encoded, Kind::Webp);
        let pixels = decoded(&picture.bytes).to_rgba8();
        assert_eq!((picture.kind, pixels.get_pixel(0, 0)[3], pixels.get_pixel(240, 160)[3]), (Kind::Webp, 0, 255));
        assert!(!exact || pixels.get_pixel(240, 160) == logo.get_pixel(240, 160));
    }
}

/// So coarse that WebP of quality 70 cannot be smaller.
fn coarse() -> Vec<u8> {
    files::jpeg(&DynamicImage::from(files::quarters(320, 240, 96)), 20)
}

/// A profile of 200 bytes, as far as anybody looks here.
fn profile(space: &[u8; 4]) -> Vec<u8> {
    let mut profile = vec![7; 200];
    profile[16..20].copy_from_slice(space);
    profile[36..40].copy_from_slice(b"acsp");
    profile
}

#[test]
fn the_colour_profile_stays_with_its_pixels() {
    let large = DynamicImage::from(files::quarters(2400, 1350, 20));
    let marked = |space| [b"ICC_PROFILE\0\x01\x01".to_vec(), profile(space)].concat();
    let jpeg = files::with_segment(&files::jpeg(&large, 80), 0xE2, &marked(b"RGB "));
    let picture = made(jpeg, Kind::Jpeg);
    let mut decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&picture.bytes)).expect("a WebP");
    assert_eq!(decoder.icc_profile().expect("readable"), Some(profile(b"RGB ")));
    assert!(has(&picture.thumbnail, "ICCP"));
    // Of inks: not for these pixels.
    let jpeg = files::with_segment(&files::jpeg(&large, 80), 0xE2, &marked(b"CMYK"));
    assert!(!has(&made(jpeg, Kind::Jpeg).bytes, "ICCP"));
    let small = coarse();
    let kept = made(files::with_segment(&small, 0xE2, &marked(b"RGB ")), Kind::Jpeg);
    assert!(!kept.changed && has(&kept.bytes, "ICC_PROFILE"));
    let mut zlib = vec![0x78, 1, 1, 200, 0, 55, 255];
    zlib.extend(profile(b"RGB "));
    zlib.extend(adler32(&profile(b"RGB ")).to_be_bytes());
    let png = files::with_chunk(&files::png(&large), b"iCCP", &[b"p\0\0".to_vec(), zlib].concat());
    let picture = made(png, Kind::Png);
    let mut decoder = image::codecs::png::PngDecoder::new(Cursor::new(&picture.bytes)).expect("a PNG");
    assert_eq!((picture.changed, decoder.icc_profile().expect("readable")), (true, Some(profile(b"RGB "))));
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

#[test]
fn sixteen_bits_grey_and_palettes_look_as_before() {
    let wide = DynamicImage::from(files::quarters(2400, 1200, 10));
    let images = [
        DynamicImage::from(wide.to_luma8()),
        DynamicImage::from(wide.to_luma16()),
        DynamicImage::from(wide.to_luma_alpha8()),
        DynamicImage::from(wide.to_rgb16()),
        DynamicImage::from(wide.to_rgba16()),
    ];
    for image in images {
        let picture = made(files::png(&image), Kind::Png);
        assert_eq!((picture.width, picture.height), (1920, 960));
        let grey = CORNERS.map(|colour| {
            let [grey] = image::Pixel::to_luma(&image::Rgb(colour)).0;
            [grey; 3]
        });
        assert_quarters(&decoded(&picture.bytes), if image.color().has_color() { CORNERS } else { grey });
        assert_quarters(&decoded(&picture.thumbnail), if image.color().has_color() { CORNERS } else { grey });
    }
    let jpeg = files::jpeg(&DynamicImage::from(wide.to_luma8()), 80);
    assert_eq!(decoded(&made(jpeg, Kind::Jpeg).bytes).width(), 1920);
}

#[test]
fn rare_kinds_of_jpeg_look_as_they_should() {
    for bytes in [files::inks(), files::progressive()] {
        let picture = made(bytes, Kind::Jpeg);
        assert_quarters(&decoded(&picture.bytes), CORNERS);
        assert_quarters(&decoded(&picture.thumbnail), CORNERS);
    }
}

/// The frames of a GIF with their delays.
fn frames(bytes: &[u8]) -> Vec<(RgbaImage, u32)> {
    let decoder = image::codecs::gif::GifDecoder::new(Cursor::new(bytes)).expect("a GIF");
    let frames = decoder.into_frames().collect_frames().expect("its frames");
    frames.into_iter().map(|frame| (frame.buffer().clone(), frame.delay().numer_denom_ms().0)).collect()
}

#[test]
fn an_animation_inside_the_bounds_is_kept() {
    let animation = files::animation();
    let picture = made(animation.clone(), Kind::Gif);
    assert!(!picture.changed && !has(&picture.bytes, files::SECRET) && has(&picture.bytes, "NETSCAPE2.0"));
    assert_eq!(frames(&picture.bytes), frames(&animation));
    // A control that is longer than a control.
    let at = animation.windows(3).position(|three| three == [0x21, 0xF9, 4]).expect("a control") + 7;
    let hidden = [&animation[..at], &[6], b"hidden", &animation[at..]].concat();
    assert!(!has(&made(hidden, Kind::Gif).bytes, "hidden"));
}

#[test]
fn a_large_gif_is_fitted_with_its_delays_and_its_transparency() {
    let large = files::gif(2000, 600, 3);
    let picture = made(large.clone(), Kind::Gif);
    assert_eq!((picture.kind, picture.width, picture.height, picture.changed), (Kind::Gif, 1920, 576, true));
    assert!(has(&picture.bytes, "NETSCAPE2.0"));
    let (before, after) = (frames(&large), frames(&picture.bytes));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.1, after.1);
        for (x, y) in [(10, 250), (160, 250), (300, 250), (1000, 400)] {
            let (was, is) = (before.0.get_pixel(x, y), after.0.get_pixel(x * 1920 / 2000, y * 576 / 600));
            assert_eq!(was[3], is[3], "{x}, {y}");
            assert!(was[3] == 0 || near(*is, [was[0], was[1], was[2]]), "{is:?}");
        }
    }
}

/// An animated WebP of full frames, each of one colour.
fn moving_webp(width: u32, height: u32, colours: &[[u8; 3]]) -> Vec<u8> {
    let mut chunks = Vec::new();
    super::strip::webp::push_animation(&mut chunks, 3);
    for colour in colours {
        let image = image::RgbImage::from_pixel(width, height, image::Rgb(*colour));
        let encoded = webp::Encoder::from_rgb(image.as_raw(), width, height).encode(70.0);
        super::strip::webp::push_frame(&mut chunks, &encoded, width, height, 80);
    }
    super::strip::webp::container(width, height, false, true, None, &chunks)
}

#[test]
fn a_large_animated_webp_is_fitted() {
    let small = moving_webp(300, 200, &CORNERS);
    let picture = made(small.clone(), Kind::Webp);
    assert_eq!((picture.changed, &picture.bytes), (false, &small));
    let picture = made(moving_webp(2200, 400, &CORNERS), Kind::Webp);
    assert_eq!((picture.width, picture.height, picture.changed), (1920, 349, true));
    let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&picture.bytes)).expect("a WebP");
    assert!(decoder.has_animation());
    let frames = decoder.into_frames().collect_frames().expect("its frames");
    assert_eq!(frames.len(), 4);
    for (frame, colour) in frames.iter().zip(CORNERS) {
        assert_eq!(frame.delay().numer_denom_ms(), (80, 1));
        assert!(near(*frame.buffer().get_pixel(960, 100), colour));
    }
}

/// An APNG of two frames.
fn moving_png(width: u32, height: u32) -> Vec<u8> {
    let [one, two] = [0, 1]
        .map(|at| files::png(&DynamicImage::from(image::RgbImage::from_pixel(width, height, image::Rgb(CORNERS[at])))));
    let control = |number: u32| {
        let size = [width, height, 0, 0].map(u32::to_be_bytes).concat();
        files::chunk(b"fcTL", &[number.to_be_bytes().as_slice(), &size, &[0, 1, 0, 10, 0, 0]].concat())
    };
    let data: Vec<u8> =
        chunks(&two).into_iter().filter(|(name, _)| name == b"IDAT").flat_map(|(_, data)| data).collect();
    let header = files::with_chunk(&one, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    let end = header.len() - 12;
    let start = header.windows(4).position(|four| four == b"IDAT").expect("data") - 4;
    let second = files::chunk(b"fdAT", &[&[0, 0, 0, 2], data.as_slice()].concat());
    [&header[..start], &control(0), &header[start..end], &control(1), &second, &header[end..]].concat()
}

fn chunks(png: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let (mut at, mut chunks) = (8, Vec::new());
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().expect("four")) as usize;
        chunks.push((png[at + 4..at + 8].try_into().expect("four"), png[at + 8..at + 8 + length].to_vec()));
        at += length + 12;
    }
    chunks
}

#[test]
fn an_apng_is_kept_or_becomes_an_animated_webp() {
    let small = moving_png(200, 100);
    let picture = made(small.clone(), Kind::Png);
    assert_eq!((picture.kind, picture.changed, &picture.bytes), (Kind::Png, false, &small));
    let picture = made(moving_png(2000, 200), Kind::Png);
    assert_eq!((picture.kind, picture.changed, picture.width), (Kind::Webp, true, 1920));
    let decoder = image::codecs::webp::WebPDecoder::new(Cursor::new(&picture.bytes)).expect("a WebP");
    let frames = decoder.into_frames().collect_frames().expect("its frames");
    assert_eq!(
        frames.iter().map(|frame| frame.buffer().get_pixel(9, 9).0[..3].to_vec()).collect::<Vec<_>>(),
        CORNERS[..2]
    );
    let mut cut = small;
    let at = cut.windows(4).position(|four| four == b"fdAT").expect("a frame") + 12;
    cut[at..at + 8].fill(0xFF);
    assert!(optimise(cut, Kind::Png, &patient()).is_err());
}

#[test]
fn sizes_are_fitted_and_never_enlarged() {
    let inside = |width, height| fit::inside(width, height, 1920, 1080);
    assert_eq!(inside(1920, 1080), (1920, 1080));
    assert_eq!(inside(1, 1), (1, 1));
    assert_eq!(inside(4000, 3000), (1440, 1080));
    assert_eq!(inside(1921, 1080), (1920, 1079));
    assert_eq!(inside(60_000, 3), (1920, 1));
    assert_eq!(inside(3, 60_000), (1, 1080));
    assert_eq!(inside(u32::MAX, u32::MAX), (1080, 1080));
}

#[test]
fn what_takes_too_long_is_refused() {
    let bounds = Bounds { time: Duration::ZERO, ..Bounds::default() };
    for file in files::real().into_iter().take(4) {
        let kind = Kind::from_content_type(file.content_type).expect("an image");
        let said: Result<_, Rejection> = optimise(file.bytes, kind, &bounds).map(|picture| picture.width);
        assert!(said.expect_err("too long").0.contains("takes too long"), "{}", file.name);
    }
}

#[test]
fn what_needs_too_much_memory_is_refused() {
    let bounds = Bounds { memory: 1 << 20, ..Bounds::default() };
    let said = optimise(files::photo(), Kind::Jpeg, &bounds).expect_err("too much");
    assert!(said.0.contains("memory"), "{said}");
}

#[test]
fn no_change_of_an_image_breaks_a_promise() {
    // Unoptimised it would take minutes; `cargo test --release -p media` does the most.
    change_images(if cfg!(debug_assertions) { 60 } else { 5_000 });
}

fn change_images(rounds: usize) {
    let bounds = Bounds { pixels: 4_000_000, time: Duration::from_secs(2), ..Bounds::default() };
    let jpeg = files::with_exif(&files::jpeg(&DynamicImage::from(files::quarters(160, 120, 20)), 85), 6);
    let samples = [
        (jpeg, Kind::Jpeg),
        (files::logo(), Kind::Png),
        (moving_png(64, 48), Kind::Png),
        (files::animation(), Kind::Gif),
        (files::picture(), Kind::Webp),
        (moving_webp(64, 48, &CORNERS), Kind::Webp),
    ];
    let mut dice = Dice::new(2);
    for (bytes, kind) in samples {
        for _ in 0..rounds {
            let mut bytes = files::mutated(&bytes, &mut dice);
            // Else no change would come further than the checksum.
            if kind == Kind::Png {
                bytes = files::with_checksums(&bytes);
            }
            let start = Instant::now();
            if let Ok(picture) = optimise(bytes, kind, &bounds) {
                assert!(picture.width <= 1920 && picture.height <= 1080);
                let kind = |bytes: &[u8]| image::guess_format(bytes).expect("a format").to_mime_type();
                assert_eq!(
                    (kind(&picture.bytes), kind(&picture.thumbnail)),
                    (picture.kind.content_type(), "image/webp")
                );
                decoded(&picture.thumbnail);
            }
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }
}
