//! Files that must be refused.
//! Promise: each is like a real one but for what it is refused for.

use image::{DynamicImage, GrayImage};

use super::{
    DOC, DOCX, GIF, Hostile, JPEG, PDF, PNG, PPT, Sample, TXT, WEBP, XLS, XLSX, chunk, claiming, compound, gif, jpeg,
    logo, package, pdf, picture, png, progressive, quarters, real, riff, riff_chunk, with_chunk, with_segment,
};

/// Every reason says what to upload instead; which one it is depends on where exactly it was noticed.
pub const ANY: &str = "pload";
pub const COMPLETE: &str = "not complete";
pub const TWO: &str = "second file";
pub const BROKEN: &str = "damaged";
pub const OTHER: &str = "ccepted";
pub const NAMED: &str = "its name";
pub const LARGE: &str = "megapixels";

/// Files that must be refused, each for its own reason.
pub fn hostile() -> Vec<Hostile> {
    let mut all = Vec::new();
    bombs(&mut all);
    two_in_one(&mut all);
    wrong_names(&mut all);
    packages(&mut all);
    incomplete(&mut all);
    broken(&mut all);
    all
}

fn add(
    all: &mut Vec<Hostile>,
    what: &'static str,
    name: &str,
    content_type: &'static str,
    bytes: impl AsRef<[u8]>,
    says: &'static str,
) {
    let file = Sample { name: name.to_owned(), content_type, bytes: bytes.as_ref().to_vec() };
    all.push(Hostile { file, what, says });
}

fn small() -> DynamicImage {
    DynamicImage::from(quarters(32, 24, 16))
}

fn bombs(all: &mut Vec<Hostile>) {
    let png_small = png(&small());
    add(all, "a PNG that claims 60 000 × 60 000", "a.png", PNG, claiming(&png_small, 60_000, 60_000), LARGE);
    let mut bytes = jpeg(&small(), 80);
    let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).expect("a frame") + 5;
    bytes[frame..frame + 4].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
    add(all, "a JPEG that claims 60 000 × 60 000", "a.jpg", JPEG, bytes, LARGE);
    let mut bytes = gif(16, 16, 1);
    bytes[6..10].copy_from_slice(&[0x60, 0xEA, 0x60, 0xEA]);
    add(all, "a GIF that claims 60 000 × 60 000", "a.gif", GIF, bytes, LARGE);
    let mut bytes = gif(16, 16, 1);
    let frame = bytes.windows(5).position(|five| five == [0x2C, 0, 0, 0, 0]).expect("a frame") + 5;
    bytes[frame..frame + 4].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    add(all, "a small GIF with a frame of 65 535 × 65 535", "a.gif", GIF, bytes, "memory");
    let still = webp::Encoder::from_rgb(quarters(16, 16, 8).as_raw(), 16, 16).encode(80.0).to_vec();
    let side = 59_999_u32.to_le_bytes();
    let extended = [&[0x02, 0, 0, 0], &side[..3], &side[..3]].concat();
    let frame = [[0; 6].as_slice(), &[15, 0, 0, 15, 0, 0], &[100, 0, 0, 0], &still[12..]].concat();
    let chunks = [riff_chunk(b"VP8X", &extended), riff_chunk(b"ANIM", &[0; 6]), riff_chunk(b"ANMF", &frame)].concat();
    add(all, "a WebP that claims 60 000 × 60 000", "a.webp", WEBP, riff(&chunks), LARGE);
    let mut bytes = still.clone();
    bytes[26..30].copy_from_slice(&[0xFF, 0x3F, 0xFF, 0x3F]);
    add(all, "a WebP whose bitstream claims 16 383 × 16 383", "a.webp", WEBP, &bytes, LARGE);
    let extended = [[0; 4].as_slice(), &[15, 0, 0], &[15, 0, 0]].concat();
    let chunks = [riff_chunk(b"VP8X", &extended), bytes[12..].to_vec()].concat();
    add(all, "a small WebP around a bitstream of 16 383 × 16 383", "a.webp", WEBP, riff(&chunks), BROKEN);
    add(all, "a PNG of 7 000 × 7 000 zeros", "a.png", PNG, zeros(7000, 7000), LARGE);
    let expands = claiming(&zeros(3000, 3000), 10, 10);
    add(all, "a PNG of 10 × 10 with nine million pixels", "a.png", PNG, expands, BROKEN);
    let one = gif(4000, 4000, 1);
    let frame = one.windows(2).position(|two| two == [0x21, 0xF9]).expect("a frame");
    let frames = one[frame..one.len() - 1].repeat(60);
    let bytes = [&one[..frame], &frames, &[0x3B]].concat();
    add(all, "a GIF of sixty frames of 4 000 × 4 000", "a.gif", GIF, bytes, "frames");
    let tiny = gif(300, 300, 1);
    let frame = tiny.windows(2).position(|two| two == [0x21, 0xF9]).expect("a frame");
    let bytes = [&tiny[..frame], &tiny[frame..tiny.len() - 1].repeat(5000), &[0x3B]].concat();
    add(all, "a GIF of five thousand frames", "a.gif", GIF, bytes, "frames");
    add(
        all,
        "an APNG with more frames than it has",
        "a.png",
        PNG,
        with_chunk(&png_small, b"acTL", &[0, 0, 0xFF, 0xFF, 0, 0, 0, 0]),
        BROKEN,
    );
}

fn zeros(width: u32, height: u32) -> Vec<u8> {
    png(&DynamicImage::from(GrayImage::new(width, height)))
}

fn two_in_one(all: &mut Vec<Hostile>) {
    let (jpg, png, gif, webp, pdf) = (jpeg(&small(), 80), png(&small()), gif(16, 16, 2), picture(), pdf());
    let docx = package("word/document.xml", &[]);
    let script = b"<script>alert(document.domain)</script>";
    let with = |one: &[u8], other: &[u8]| [one, other].concat();
    add(all, "a JPEG with a ZIP behind it", "a.jpg", JPEG, with(&jpg, &docx), TWO);
    add(all, "a JPEG with PHP behind it", "a.jpg", JPEG, with(&jpg, b"\n<?php system($_GET['c']); ?>"), TWO);
    add(all, "a JPEG with an archive in its comment", "a.jpg", JPEG, with_segment(&jpg, 0xFE, &docx), TWO);
    add(all, "a JPEG with a program behind it", "a.jpg", JPEG, with(&jpg, &exe()), TWO);
    add(
        all,
        "a JPEG with zeros and an archive behind it",
        "a.jpg",
        JPEG,
        [&jpg, &[0; 90_000][..], &docx].concat(),
        TWO,
    );
    add(all, "a PNG with HTML behind it", "a.png", PNG, with(&png, b"<HTML><BODY ONLOAD=alert(1)>"), TWO);
    add(all, "a PNG with a PDF behind it", "a.png", PNG, with(&png, &pdf), TWO);
    add(all, "a PNG with a RAR behind it", "a.png", PNG, with(&png, b"Rar!\x1a\x07\x01\0........"), TWO);
    add(all, "a GIF with a Java archive behind it", "a.gif", GIF, with(&gif, &package("Evil.class", &[])), TWO);
    add(all, "a GIF with a script behind it", "a.gif", GIF, with(&gif, script), TWO);
    add(all, "a GIF that is JavaScript", "a.gif", GIF, b"GIF89a=1;/*\0\0*/;alert(document.domain)//;", BROKEN);
    add(all, "a GIF that is JavaScript in a comment", "a.gif", GIF, b"GIF89a/*\x0a\0\0\0\0;*/=1;alert(1)//", BROKEN);
    add(all, "a WebP with a 7z behind it", "a.webp", WEBP, with(&webp, b"7z\xbc\xaf\x27\x1c\0\x04......"), TWO);
    add(all, "a WebP with SVG behind it", "a.webp", WEBP, with(&webp, b"<svg onload=alert(1)>"), TWO);
    add(all, "a PDF with a ZIP behind it", "a.pdf", PDF, with(&pdf, &docx), TWO);
    add(all, "a ZIP with a PDF behind it", "a.docx", DOCX, with(&docx, &pdf), ANY);
    let inside = [&pdf[..pdf.len() - 6], b"%", &docx, b"\n%%EOF\n"].concat();
    add(all, "a PDF with a ZIP inside", "a.pdf", PDF, inside, TWO);
    add(
        all,
        "a PDF with HTML in its header",
        "a.pdf",
        PDF,
        with(b"%PDF-1.4\n<html><script>1</script>\n", &pdf[9..]),
        TWO,
    );
    add(all, "a PDF with a script behind it", "a.pdf", PDF, with(&pdf, script), TWO);
    add(all, "a document with HTML before it", "a.docx", DOCX, with(b"<html><!--", &docx), OTHER);
    add(all, "a text with a PDF in it", "a.txt", TXT, with(b"Dear all,\n", b"%PDF-1.4\n1 0 obj\n"), TWO);
    let stub = [b"PK\x03\x04\x14\0\0\0\0\0".as_slice(), &[0; 20], b"%PDF-1.4", &docx].concat();
    add(all, "a ZIP with a PDF in front", "a.docx", DOCX, stub, TWO);
    let shifted = [&docx[..30], &[0; 64], &docx[30..]].concat();
    add(all, "a document whose offsets are wrong", "a.docx", DOCX, shifted, TWO);
    add(
        all,
        "an old document with an archive behind it",
        "a.doc",
        DOC,
        {
            let mut doc = compound("WordDocument", None);
            doc.extend(&docx);
            doc
        },
        TWO,
    );
}

fn exe() -> Vec<u8> {
    [
        b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".as_slice(),
        &[0; 48],
        b"This program cannot be run in DOS mode.\r\n",
        b"PE\0\0",
    ]
    .concat()
}

fn wrong_names(all: &mut Vec<Hostile>) {
    let svg = br#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let html = b"\r\n <!DOCTYPE HTML><title>x</title><script>alert(1)</script>";
    let elf = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 200]].concat();
    add(all, "an SVG as itself", "a.svg", PNG, svg, OTHER);
    add(all, "an SVG as PNG", "a.png", PNG, svg, OTHER);
    add(all, "an SVG as text", "a.txt", TXT, svg, OTHER);
    add(all, "an SVG without its declaration as text", "a.txt", TXT, b"\xEF\xBB\xBF  <svg/onload=alert(1)>", OTHER);
    add(all, "HTML as text", "a.txt", TXT, html, OTHER);
    let wide: Vec<u8> = [0xFF, 0xFE].into_iter().chain(html.iter().flat_map(|byte| [*byte, 0])).collect();
    add(all, "HTML in UTF-16 as text", "a.txt", TXT, wide, OTHER);
    add(all, "HTML as PDF", "a.pdf", PDF, html, OTHER);
    add(all, "PHP as text", "a.txt", TXT, b"<?php echo 1;", OTHER);
    add(all, "a text as a page", "a.html", TXT, b"Hello <script>alert(1)</script>", NAMED);
    add(all, "a text as a program", "a.txt.exe. .", TXT, b"Hello", NAMED);
    add(all, "a PDF as Word", "a.docx", DOCX, pdf(), NAMED);
    add(all, "a PDF that is announced as text", "a.pdf", TXT, pdf(), "announced");
    add(all, "Word as Excel", "a.xlsx", XLSX, package("word/document.xml", &[]), NAMED);
    add(all, "old Word as old Excel", "a.xls", XLS, compound("WordDocument", None), NAMED);
    add(all, "a PNG as PDF", "a.pdf", PDF, logo(), NAMED);
    add(all, "a PNG as SVG", "a.svg", PNG, logo(), NAMED);
    add(all, "a program as PDF", "a.pdf", PDF, exe(), OTHER);
    add(all, "a program as JPEG", "a.jpg", JPEG, exe(), OTHER);
    add(all, "an ELF as text", "a.txt", TXT, elf, OTHER);
    add(
        all,
        "a shell archive as text",
        "a.txt",
        TXT,
        b"#!/bin/sh\ntail -n +4 $0 | tar x\nexit\n\x1f\x8b\x08\0\0",
        OTHER,
    );
    add(all, "half a character of UTF-16 as text", "a.txt", TXT, b"\xFF\xFEa\0\0\xD8b\0", OTHER);
    add(all, "a film as WebP", "a.webp", WEBP, [b"RIFF\x24\0\0\0AVI LIST".as_slice(), &[0; 32]].concat(), OTHER);
    add(all, "an archive as PNG", "a.png", PNG, b"Rar!\x1a\x07\x01\0\0\0\0\0", OTHER);
    add(all, "a bitmap as PNG", "a.png", PNG, [b"BM".as_slice(), &[0; 60]].concat(), OTHER);
}

fn packages(all: &mut Vec<Hostile>) {
    let word = "word/document.xml";
    add(all, "a document with macros", "a.docx", DOCX, package(word, &["word/vbaProject.bin"]), "macros");
    add(
        all,
        "a workbook with old macros",
        "a.xlsx",
        XLSX,
        package("xl/workbook.xml", &["xl/macrosheets/a.xml"]),
        "macros",
    );
    add(all, "an old document with macros", "a.doc", DOC, compound("WordDocument", Some("Macros")), "macros");
    add(all, "an old workbook with macros", "a.xls", XLS, compound("Workbook", Some("_VBA_PROJECT_CUR")), "macros");
    let other = |name: &str| package(word, &[name]);
    add(all, "a document with a way up", "a.docx", DOCX, renamed(&other("aa/evil.xml"), b"aa/", b"../"), BROKEN);
    add(
        all,
        "a document with an absolute path",
        "a.docx",
        DOCX,
        renamed(&other("aetc/cron"), b"aetc", b"/etc"),
        BROKEN,
    );
    add(
        all,
        "a document with a path of Windows",
        "a.docx",
        DOCX,
        renamed(&other("wordx2.xml"), b"wordx2", b"word\\2"),
        BROKEN,
    );
    add(
        all,
        "a document with an entry twice",
        "a.docx",
        DOCX,
        renamed(&other("word/document.xmk"), b"xmk", b"xml"),
        BROKEN,
    );
    add(all, "a document that is Word and Excel", "a.docx", DOCX, other("xl/workbook.xml"), BROKEN);
    add(all, "a document that is a Java archive", "a.docx", DOCX, other("META-INF/MANIFEST.MF"), TWO);
    add(all, "a plain archive", "a.docx", DOCX, package("readme.md", &[]), OTHER);
    add(all, "a Compound File of an installer", "a.doc", DOC, compound("\u{4840}\u{3F3F}\u{4577}", None), OTHER);
    add(all, "a document behind a password", "a.docx", DOCX, compound("EncryptedPackage", None), "password");
    let swollen = |size: u32| {
        let mut bytes = package(word, &[]);
        for (at, four) in [(22, b"PK\x03\x04"), (24, b"PK\x01\x02")] {
            let header = bytes.windows(4).rposition(|window| window == four).expect("a header");
            bytes[header + at..header + at + 4].copy_from_slice(&size.to_le_bytes());
        }
        bytes
    };
    add(all, "a document of four gigabytes", "a.docx", DOCX, swollen(0xFFFF_FFF0), "larger");
    add(all, "a document that swells 30 000-fold", "a.docx", DOCX, swollen(11 << 20), "larger");
    let mut bytes = package(word, &[]);
    let second = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").expect("a header");
    bytes[second + 42..second + 46].fill(0);
    add(all, "a document whose entries lie over each other", "a.docx", DOCX, bytes, BROKEN);
    let mut bytes = package(word, &[]);
    let end = bytes.len() - 22;
    bytes[end + 8..end + 12].fill(0xFE);
    add(all, "a document of 65 278 entries", "a.docx", DOCX, bytes, BROKEN);
    let mut bytes = compound("WordDocument", None);
    bytes[48..52].copy_from_slice(&[0xF0, 0xFF, 0, 0]);
    add(all, "an old document whose directory lies outside", "a.doc", DOC, bytes, COMPLETE);
    let mut bytes = compound("WordDocument", None);
    let directory = bytes[48..52].to_vec();
    let entry = 4096 + 4 * usize::from(directory[0]);
    bytes[entry..entry + 4].copy_from_slice(&directory);
    add(all, "an old document whose directory goes in a circle", "a.doc", DOC, bytes, BROKEN);
}

/// Gives an entry of a ZIP another name of the same length, in both headers.
fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

fn incomplete(all: &mut Vec<Hostile>) {
    let mut samples = real();
    samples.push(Sample { name: "small.jpg".to_owned(), content_type: JPEG, bytes: jpeg(&small(), 80) });
    for file in samples {
        let Sample { name, content_type, bytes } = file;
        let empty = Sample { name: name.clone(), content_type, bytes: Vec::new() };
        all.push(Hostile { file: empty, what: "a file without a byte", says: "empty" });
        if content_type == TXT {
            continue;
        }
        let half = bytes[..bytes.len() / 2].to_vec();
        let half = Sample { name: name.clone(), content_type, bytes: half };
        all.push(Hostile { file: half, what: "the first half of a file", says: COMPLETE });
        // The last sector of an old document may be shorter than the others.
        let missing = if matches!(content_type, DOC | XLS | PPT) { 4097 } else { 7 };
        let most = Sample { name, content_type, bytes: bytes[..bytes.len() - missing].to_vec() };
        all.push(Hostile { file: most, what: "a file without its end", says: ANY });
    }
}

fn broken(all: &mut Vec<Hostile>) {
    let mut bytes = png(&small());
    let data = bytes.windows(4).position(|four| four == b"IDAT").expect("data") + 20;
    bytes[data] ^= 0xFF;
    add(all, "a PNG whose checksum is wrong", "a.png", PNG, &bytes, BROKEN);
    let mut bytes = jpeg(&small(), 90);
    let scan = bytes.windows(2).position(|two| two == [0xFF, 0xDA]).expect("a scan") + 20;
    let end = bytes.len() - 2;
    bytes[scan..end].fill(0xFE);
    add(all, "a JPEG whose codes are nonsense", "a.jpg", JPEG, &bytes, BROKEN);
    let whole = jpeg(&DynamicImage::from(quarters(640, 480, 60)), 90);
    let cut = [&whole[..whole.len() * 2 / 3], &[0xFF, 0xD9]].concat();
    add(all, "a JPEG that ends too early, with an end", "a.jpg", JPEG, cut, BROKEN);
    let whole = progressive();
    let scan = whole.windows(2).position(|two| two == [0xFF, 0xDA]).expect("a scan") + 20;
    let cut = [&whole[..scan], &[0xFF, 0xD9]].concat();
    add(all, "a progressive JPEG that ends too early, with an end", "a.jpg", JPEG, cut, BROKEN);
    let mut bytes = jpeg(&small(), 90);
    let table = bytes.windows(2).position(|two| two == [0xFF, 0xC4]).expect("a table") + 5;
    bytes[table..table + 16].fill(0xFF);
    add(all, "a JPEG whose tables are nonsense", "a.jpg", JPEG, &bytes, ANY);
    let bytes = [&png(&small())[..33], &chunk(b"IDAT", b"\x78\x9c\x03\0\0\0\0\x01"), &chunk(b"IEND", b"")].concat();
    add(all, "a PNG without pixels", "a.png", PNG, bytes, BROKEN);
    add(all, "a PNG with a part that nobody knows", "a.png", PNG, with_chunk(&png(&small()), b"EVIL", b"x"), BROKEN);
    let mut bytes = gif(64, 64, 2);
    let frame = bytes.windows(5).position(|five| five == [0x2C, 0, 0, 0, 0]).expect("a frame");
    let data = frame + 10 + 3 * (1 << ((bytes[frame + 9] & 7) + 1)) + 1;
    let short = [&bytes[..data], &[2, 0x44, 0x01, 0], &[0x3B]].concat();
    add(all, "a GIF with a few pixels of many", "a.gif", GIF, short, BROKEN);
    bytes[data + 1..data + 12].fill(0xFF);
    add(all, "a GIF whose codes are nonsense", "a.gif", GIF, &bytes, BROKEN);
    let mut bytes = picture();
    let data = bytes.windows(4).position(|four| four == b"VP8 ").expect("data") + 18;
    bytes[data..data + 40].fill(0xFF);
    add(all, "a WebP whose bitstream is nonsense", "a.webp", WEBP, &bytes, BROKEN);
    let bytes = riff(&riff_chunk(b"ICCP", &[0; 200]));
    add(all, "a WebP without an image", "a.webp", WEBP, bytes, BROKEN);
}
