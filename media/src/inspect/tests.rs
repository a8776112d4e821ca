//! What is taken, what is refused and why, and that nothing makes it panic.

use std::io::Cursor;

use super::{Rejection, inspect};
use crate::{
    dice::Dice,
    files::{self, Sample},
    kind::Kind,
    optimise::{Bounds, optimise},
};

fn look(file: &Sample) -> Result<Kind, Rejection> {
    let claimed = Kind::from_content_type(file.content_type).expect("one of the types");
    inspect(&mut Cursor::new(&file.bytes), file.bytes.len() as u64, &file.name, claimed).expect("memory can be read")
}

fn named(name: &str, content_type: &'static str, bytes: impl AsRef<[u8]>) -> Sample {
    Sample { name: name.to_owned(), content_type, bytes: bytes.as_ref().to_vec() }
}

#[test]
fn every_real_file_is_taken_for_what_it_is() {
    for file in files::real() {
        assert_eq!(look(&file).map(Kind::content_type), Ok(file.content_type), "{}", file.name);
    }
}

#[test]
fn every_hostile_file_is_refused_with_its_reason() {
    let all = files::hostile();
    assert!(all.len() >= 45, "{}", all.len());
    let mut wrong = Vec::new();
    for hostile in all {
        let said = look(&hostile.file).and_then(|kind| {
            if kind.is_image() {
                optimise(hostile.file.bytes, kind, &Bounds::default()).map(|_| kind)
            } else {
                Ok(kind)
            }
        });
        match said {
            Err(rejection) if rejection.0.contains(hostile.says) => {}
            other => wrong.push(format!("{} ({}): {other:?}, not {}", hostile.what, hostile.file.name, hostile.says)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_bytes_of_an_image_win_over_its_name() {
    for name in ["photo.png", "photo.JPG", "photo", "Holiday 3.5"] {
        assert_eq!(look(&named(name, files::WEBP, files::logo())), Ok(Kind::Png), "{name}");
    }
    let refused = look(&named("photo.<b>\u{202E}", files::PNG, files::logo())).expect_err("no ending of an image");
    assert!(refused.0.contains("says otherwise") && !refused.0.contains("<b>"), "{refused}");
}

#[test]
fn what_phones_put_behind_a_photo_is_let_through() {
    let jpeg = files::jpeg(&image::DynamicImage::from(files::quarters(64, 48, 30)), 80);
    let film = [b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".as_slice(), &[0x5A; 70_000]].concat();
    let notes = b"\0\0\x01\x0A\x0E\0\0\0Image_UTC_Data1667SEFHk\0\0\0SEFT";
    for behind in [film.as_slice(), notes, &jpeg, &[0; 100], b"\r\n"] {
        let bytes = [&jpeg, behind].concat();
        assert_eq!(look(&named("a.jpg", files::JPEG, bytes)), Ok(Kind::Jpeg), "{:?}", behind.get(..16));
    }
}

#[test]
fn text_of_every_alphabet_is_text() {
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
    };
    let words = "a < b, <3, </html>, Größe 😀\r\n\x1B[0m";
    let texts = [
        words.as_bytes().to_vec(),
        format!("\u{FEFF}{words}").into_bytes(),
        utf16(words, u16::to_le_bytes),
        utf16(words, u16::to_be_bytes),
        b"Gr\xF6\xDFe in Latin-1".to_vec(),
        b"x".to_vec(),
        b"<anything else".to_vec(),
    ];
    for text in texts {
        assert_eq!(look(&named("a.txt", files::TXT, &text)), Ok(Kind::Txt), "{text:?}");
    }
}

#[test]
fn binary_data_is_found_at_the_end_of_a_long_text() {
    let mut text = b"All is well. ".repeat(20_000);
    text.push(0);
    assert!(look(&named("a.txt", files::TXT, text)).is_err());
}

#[test]
fn a_shorter_file_than_was_said_is_not_complete() {
    let bytes = files::logo();
    let said = inspect(&mut Cursor::new(&bytes), bytes.len() as u64 + 1000, "a.png", Kind::Png).expect("readable");
    assert!(said.expect_err("refused").0.contains("not complete"));
}

#[test]
fn no_change_of_a_real_file_makes_it_panic() {
    // Unoptimised it would take minutes; `cargo test --release -p media` does the most.
    change_files(if cfg!(debug_assertions) { 200 } else { 20_000 });
}

fn change_files(rounds: usize) {
    let mut dice = Dice::new(1);
    for file in files::real() {
        // Of a large file only some: it is the same walk.
        let rounds = if file.bytes.len() > 1 << 20 { rounds / 40 } else { rounds };
        for _ in 0..rounds {
            let bytes = files::mutated(&file.bytes, &mut dice);
            let _ = look(&Sample { bytes, ..file.clone() });
        }
    }
}
