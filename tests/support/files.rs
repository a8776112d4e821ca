//! Files as people upload them, and files as people attack with.
//! Promise: made here byte by byte or by crates that the house does not read with, the same at every run; nothing lies
//! on the disk.

#[path = "files/hostile.rs"]
mod hostile;

use std::{
    io::{Cursor, Write},
    sync::OnceLock,
};

use base64::Engine;
use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, RgbImage, RgbaImage,
    codecs::{
        gif::{GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::PngEncoder,
    },
};

pub use hostile::hostile;

use super::dice::Dice;

/// A file to upload.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// A file that must be refused.
#[derive(Clone, Debug)]
pub struct Hostile {
    pub file: Sample,
    /// What it is.
    pub what: &'static str,
    /// Some words of the reason that must be given.
    pub says: &'static str,
}

pub const JPEG: &str = "image/jpeg";
pub const PNG: &str = "image/png";
pub const GIF: &str = "image/gif";
pub const WEBP: &str = "image/webp";
pub const PDF: &str = "application/pdf";
pub const DOC: &str = "application/msword";
pub const XLS: &str = "application/vnd.ms-excel";
pub const PPT: &str = "application/vnd.ms-powerpoint";
pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
pub const TXT: &str = "text/plain";

/// Where the photo was taken, as it stands in its EXIF: must be nowhere in what comes out.
pub const CAMERA: &str = "Spacedly Test Camera";
/// What the comments of the other images say: must be nowhere in what comes out.
pub const SECRET: &str = "GPS 52.5200 N 13.4050 E";

/// One of each type, as programs make them.
pub fn real() -> Vec<Sample> {
    let sample = |name: &str, content_type, bytes| Sample { name: name.to_owned(), content_type, bytes };
    vec![
        sample("photo.jpg", JPEG, photo()),
        sample("logo.png", PNG, logo()),
        sample("animation.gif", GIF, animation()),
        sample("picture.webp", WEBP, picture()),
        sample("document.pdf", PDF, pdf()),
        sample("letter.docx", DOCX, package("word/document.xml", &[])),
        sample("table.xlsx", XLSX, package("xl/workbook.xml", &[])),
        sample("slides.pptx", PPTX, package("ppt/presentation.xml", &[])),
        sample("old letter.doc", DOC, compound("WordDocument", None)),
        sample("old table.xls", XLS, compound("Workbook", None)),
        sample("old slides.ppt", PPT, compound("PowerPoint Document", None)),
        sample("notes.txt", TXT, "Äpfel, Öl und Übung für Zoë.\r\n\tΚαλημέρα — 10 € < 20 €\n".repeat(40).into_bytes()),
    ]
}

/// The corners' colours as they are stored: red, green, blue and yellow, clockwise from the top left.
pub const CORNERS: [[u8; 3]; 4] = [[200, 60, 60], [60, 200, 60], [60, 60, 200], [200, 200, 60]];

/// Four quarters of one colour each, with noise as cameras make it.
pub fn quarters(width: u32, height: u32, noise: u8) -> RgbImage {
    let mut dice = Dice::new(7);
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let corner = match (x < width / 2, y < height / 2) {
                (true, true) => CORNERS[0],
                (false, true) => CORNERS[1],
                (false, false) => CORNERS[2],
                (true, false) => CORNERS[3],
            };
            let roll = dice.bits().to_le_bytes();
            for channel in 0..3 {
                let by = if noise == 0 { 0 } else { roll[channel] % noise };
                pixels.push(corner[channel] - noise / 2 + by);
            }
        }
    }
    RgbImage::from_raw(width, height, pixels).expect("the size")
}

/// Twelve megapixels and about five megabytes, lying on its side (Orientation 6), with the place it was taken at.
pub fn photo() -> Vec<u8> {
    static PHOTO: OnceLock<Vec<u8>> = OnceLock::new();
    PHOTO
        .get_or_init(|| {
            let small = DynamicImage::from(quarters(1000, 750, 96));
            let large = small.resize_exact(4000, 3000, image::imageops::FilterType::Triangle);
            with_exif(&jpeg(&large, 92), 6)
        })
        .clone()
}

pub fn jpeg(image: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image).expect("a JPEG");
    bytes
}

/// The quarters in 32 × 32, in the inks of a printer as Adobe stores them (inverted). Made with libjpeg.
pub fn inks() -> Vec<u8> {
    decoded(INKS)
}

/// The quarters in 32 × 32, in ten scans that become finer. Made with libjpeg.
pub fn progressive() -> Vec<u8> {
    decoded(PROGRESSIVE)
}

fn decoded(base64: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(base64).expect("base64")
}

const INKS: &str = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwANCQoLCggNCwoLDg4NDxMgFRMSEhMnHB4XIC4pMTAuKS0sMzpKPjM2RjcsLUBXQUZMTlJTUjI+WmFaUG\
     BKUVJP/8AAFAgAIAAgBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAHBv/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZ\
     AEsAAD8A1jKsqpwAlKrAAKslIACUqsAAqwAAlKUqsACrKslIAJSlKrAA/9k=";
const PROGRESSIVE: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYV\
     pQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wgARCAAg\
     ACADAREAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAAQG/8QAFwEBAQEBAAAAAAAAAAAAAAAAAAMGBf/aAAwDAQACEAMQAAABnh1BZHNCO2\
     lFkc0LYdQZ7URGhy9hntREf//EABQQAQAAAAAAAAAAAAAAAAAAAED/2gAIAQEAAQUCB//EABQRAQAAAAAAAAAAAAAAAAAAAED/2gAIAQMBAT8B\
     B//EABQRAQAAAAAAAAAAAAAAAAAAAED/2gAIAQIBAT8BB//EABQQAQAAAAAAAAAAAAAAAAAAAED/2gAIAQEABj8CB//EABQQAQAAAAAAAAAAAA\
     AAAAAAAED/2gAIAQEAAT8hB//aAAwDAQACAAMAAAAQAkAkAAAA/8QAFBEBAAAAAAAAAAAAAAAAAAAAQP/aAAgBAwEBPxAH/8QAFBEBAAAAAAAA\
     AAAAAAAAAAAAQP/aAAgBAgEBPxAH/8QAFBABAAAAAAAAAAAAAAAAAAAAQP/aAAgBAQABPxAH/9k=";

/// A TIFF block with a camera, an orientation and a place (EXIF 2.32 §4.6).
pub fn exif(orientation: u16) -> Vec<u8> {
    let mut tiff = b"MM\0\x2A\0\0\0\x08\0\x03".to_vec();
    let camera = format!("{CAMERA}\0");
    let gps = 8 + 2 + 3 * 12 + 4;
    let camera_at = gps + 2 + 2 * 12 + 4;
    let mut entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        tiff.extend(tag.to_be_bytes());
        tiff.extend(kind.to_be_bytes());
        tiff.extend(count.to_be_bytes());
        tiff.extend(value);
    };
    let [high, low] = orientation.to_be_bytes();
    entry(0x0110, 2, camera.len() as u32, (camera_at as u32).to_be_bytes());
    entry(0x0112, 3, 1, [high, low, 0, 0]);
    entry(0x8825, 4, 1, (gps as u32).to_be_bytes());
    tiff.extend([0; 4]);
    tiff.extend([0, 2]);
    let latitude_at = camera_at + camera.len();
    for (tag, kind, count, value) in [(1_u16, 2_u16, 2_u32, *b"N\0\0\0"), (2, 5, 3, (latitude_at as u32).to_be_bytes())]
    {
        tiff.extend(tag.to_be_bytes());
        tiff.extend(kind.to_be_bytes());
        tiff.extend(count.to_be_bytes());
        tiff.extend(value);
    }
    tiff.extend([0; 4]);
    tiff.extend(camera.as_bytes());
    for (above, below) in [(52_u32, 1_u32), (31, 1), (1200, 100)] {
        tiff.extend(above.to_be_bytes());
        tiff.extend(below.to_be_bytes());
    }
    tiff
}

/// Puts an EXIF block and a comment into a JPEG.
pub fn with_exif(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let exif = [b"Exif\0\0".to_vec(), exif(orientation)].concat();
    let with = with_segment(jpeg, 0xE1, &exif);
    with_segment(&with, 0xFE, SECRET.as_bytes())
}

/// Puts a segment behind the first marker of a JPEG.
pub fn with_segment(jpeg: &[u8], code: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, code], &length, content, &jpeg[2..]].concat()
}

/// A disc on nothing, with a comment.
pub fn logo() -> Vec<u8> {
    let image = RgbaImage::from_fn(480, 320, |x, y| {
        let (dx, dy) = (i64::from(x) - 240, i64::from(y) - 160);
        let inside = dx * dx + dy * dy < 140 * 140;
        image::Rgba([(x / 2) as u8, y as u8, 120, if inside { 255 } else { 0 }])
    });
    with_chunk(&png(&DynamicImage::from(image)), b"tEXt", format!("Comment\0{SECRET}").as_bytes())
}

pub fn png(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let color: ExtendedColorType = image.color().into();
    PngEncoder::new(&mut bytes).write_image(image.as_bytes(), image.width(), image.height(), color).expect("a PNG");
    bytes
}

/// The checksum of PNG and ZIP (W3C PNG, annex D).
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// A chunk of a PNG.
pub fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [name.as_slice(), content].concat();
    [(content.len() as u32).to_be_bytes().as_slice(), &named, &crc32(&named).to_be_bytes()].concat()
}

/// A PNG with the checksums that fit to its chunks, as far as it has whole ones.
pub fn with_checksums(png: &[u8]) -> Vec<u8> {
    let mut rest = png.get(8..).unwrap_or_default();
    let mut made = png.get(..8).unwrap_or(png).to_vec();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (Some(name), Some(content)) = (behind.first_chunk(), behind.get(4..length.saturating_add(4))) else {
            break;
        };
        made.extend(chunk(name, content));
        rest = behind.get(length + 8..).unwrap_or_default();
    }
    made.extend(rest);
    made
}

/// Puts a chunk behind the header of a PNG.
pub fn with_chunk(png: &[u8], name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&png[..33], &chunk(name, content), &png[33..]].concat()
}

/// Gives a PNG another size in its header, with the checksum that fits.
pub fn claiming(png: &[u8], width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), &png[24..29]].concat();
    [&png[..8], &chunk(b"IHDR", &header), &png[33..]].concat()
}

/// Five frames of a moving square, a tenth of a second each, for ever; with a comment.
pub fn animation() -> Vec<u8> {
    let gif = gif(120, 80, 5);
    // Behind the screen and its table of colours.
    let at = 13 + if gif[10] & 0x80 == 0 { 0 } else { 3 << ((gif[10] & 7) + 1) };
    [&gif[..at], b"\x21\xFE", &[SECRET.len() as u8], SECRET.as_bytes(), &[0], &gif[at..]].concat()
}

pub fn gif(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    encoder.set_repeat(Repeat::Infinite).expect("a loop");
    for frame in 0..frames {
        let mut image = RgbaImage::new(width, height);
        let side = (height / 4).max(1);
        for y in 0..side {
            for x in 0..side {
                image.put_pixel((frame * side + x) % width, height / 3 + y, image::Rgba([220, 40, 40, 255]));
            }
        }
        let delay = image::Delay::from_numer_denom_ms(100, 1);
        encoder.encode_frame(image::Frame::from_parts(image, 0, 0, delay)).expect("a frame");
    }
    drop(encoder);
    bytes
}

/// Lossy, opaque, with EXIF.
pub fn picture() -> Vec<u8> {
    let image = quarters(640, 480, 40);
    let encoded = webp::Encoder::from_rgb(image.as_raw(), 640, 480).encode(90.0).to_vec();
    let extended = [&[0x08, 0, 0, 0], &639_u32.to_le_bytes()[..3], &479_u32.to_le_bytes()[..3]].concat();
    riff(&[riff_chunk(b"VP8X", &extended), encoded[12..].to_vec(), riff_chunk(b"EXIF", &exif(1))].concat())
}

pub fn riff_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let pad: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
    [name.as_slice(), &(content.len() as u32).to_le_bytes(), content, pad].concat()
}

pub fn riff(chunks: &[u8]) -> Vec<u8> {
    [b"RIFF".as_slice(), &(chunks.len() as u32 + 4).to_le_bytes(), b"WEBP", chunks].concat()
}

/// One page that says something, with a table of references that is right.
pub fn pdf() -> Vec<u8> {
    let text = "BT /F1 24 Tf 72 720 Td (Hello from Spacedly) Tj ET";
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let mut table = String::from("xref\n0 6\n0000000000 65535 f \n");
    for (number, object) in (1..).zip(objects) {
        table += &format!("{:010} 00000 n \n", pdf.len());
        pdf.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let at = pdf.len();
    pdf.extend(format!("{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{at}\n%%EOF\n").bytes());
    pdf
}

/// An Office file with its main part, and others besides.
pub fn package(main: &str, others: &[&str]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let kind = match main.split('/').next() {
        Some("xl") => "spreadsheetml.sheet",
        Some("ppt") => "presentationml.presentation",
        _ => "wordprocessingml.document",
    };
    let types = format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/{main}" ContentType="application/vnd.openxmlformats-officedocument.{kind}.main+xml"/></Types>"#
    );
    let relations = format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="{main}"/></Relationships>"#
    );
    let document = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>Hello</w:t></w:r></w:p></w:body></w:document>"#;
    let parts = [("[Content_Types].xml", types.as_str()), ("_rels/.rels", &relations), (main, document)];
    for (name, content) in parts.into_iter().chain(others.iter().map(|name| (*name, "something"))) {
        writer.start_file(name, options).expect("an entry");
        writer.write_all(content.as_bytes()).expect("its bytes");
    }
    writer.finish().expect("an archive").into_inner()
}

/// An old Office file: a Compound File with a stream, and a storage besides.
pub fn compound(stream: &str, storage: Option<&str>) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("a file");
    file.create_stream(format!("/{stream}")).expect("a stream").write_all(&[0xEC; 9000]).expect("its bytes");
    file.create_stream("/\u{5}SummaryInformation").expect("a stream").write_all(&[1; 300]).expect("its bytes");
    if let Some(storage) = storage {
        file.create_storage(format!("/{storage}")).expect("a storage");
    }
    file.flush().expect("written");
    file.into_inner().into_inner()
}

/// A file with a few bytes changed, left out, doubled, or without its end.
pub fn mutated(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.place(6) {
        // Headers are at the beginning and at the end.
        let length = bytes.len();
        let at = match dice.place(4) {
            0 => dice.place(length.min(64)),
            1 => length.saturating_sub(1 + dice.place(length.min(600))),
            _ => dice.place(length),
        };
        let end = (at + 1 + dice.place(40)).min(length);
        match dice.place(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.get_mut(at..end).unwrap_or_default().fill(dice.bits() as u8),
            4 => bytes.get_mut(at..end).unwrap_or_default().fill(if dice.place(2) == 0 { 0 } else { 0xFF }),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.place(8);
                }
            }
        }
    }
    bytes
}
