//! Keys of objects as paths of files, and back.
//! Promise: no key leaves the folder of its bucket, and no two keys share a file, also where case does not count.
//!
//! Every byte but `a-z 0-9 _ -` is written as `%` and two digits, so a name has no dot, no slash and no capital. It is
//! cut into pieces that fit into a folder: `+piece/+piece/=piece`. The last one is the file; the marks keep a file from
//! being in the way of a folder, and keep names like `con` from meaning a device.

use std::path::PathBuf;

use s3s::crypto::{Checksum, Md5};

/// The longest key, in bytes.
const MOST_BYTES: usize = 1024;
/// The longest piece; with its mark it fits into every file system.
const PIECE: usize = 200;
const FOLDER: char = '+';
const FILE: char = '=';

/// Where the object with this key lies in its bucket. None: no object can have this key.
pub(super) fn path_of(key: &str) -> Option<PathBuf> {
    if key.is_empty() || key.len() > MOST_BYTES {
        return None;
    }
    // Spread over 256 folders by the hash: some file systems are slow with a hundred thousand files in one.
    let mut path = PathBuf::from(format!("{:02x}", Md5::checksum(key.as_bytes())[0]));
    let mut rest = encoded(key).into_bytes();
    while rest.len() > PIECE {
        let next = rest.split_off(PIECE);
        path.push(marked(FOLDER, &rest));
        rest = next;
    }
    path.push(marked(FILE, &rest));
    Some(path)
}

/// What a name in a folder means.
pub(super) enum Name {
    /// A folder; the beginning of the encoded keys in it grows by this.
    Folder(String),
    /// A file; the rest of the encoded key.
    File(String),
}

/// Reads a name that [`path_of`] gave. None: it is not one of ours.
pub(super) fn read(name: &str) -> Option<Name> {
    match name.strip_prefix(FOLDER) {
        Some(piece) => Some(Name::Folder(piece.to_owned())),
        None => name.strip_prefix(FILE).map(|piece| Name::File(piece.to_owned())),
    }
}

/// The key that was encoded like this. None: none was.
pub(super) fn key_of(encoded: &str) -> Option<String> {
    let mut key = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        key.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(key).ok()
}

/// A key as a list shows it to who asks for `encoding-type=url`: XML has no way to write some characters.
pub(super) fn for_url(key: &str) -> String {
    escaped(key, |byte| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte))
}

fn encoded(key: &str) -> String {
    escaped(key, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}

fn escaped(key: &str, is_plain: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(key.len() * 2);
    for byte in key.bytes() {
        if is_plain(byte) {
            text.push(byte.into());
        } else {
            // Writing into a string cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn marked(mark: char, piece: &[u8]) -> String {
    format!("{mark}{}", String::from_utf8_lossy(piece))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(path: &std::path::Path) -> Option<String> {
        let mut encoded = String::new();
        for part in path.iter().skip(1) {
            match read(part.to_str()?)? {
                Name::Folder(piece) | Name::File(piece) => encoded.push_str(&piece),
            }
        }
        key_of(&encoded)
    }

    #[test]
    fn every_key_comes_back_and_stays_inside() {
        let long = "Ä/".repeat(341);
        let keys =
            ["a", ".", "..", "../../etc/passwd", "/", "//", "a/../b", "C:\\con", "nul\0", "con", "%2e%2e", &long];
        for key in keys {
            let path = path_of(key).unwrap();
            assert_eq!(back(&path).as_deref(), Some(key));
            for part in path.components() {
                assert!(matches!(part, std::path::Component::Normal(name) if name.len() <= PIECE + 1));
            }
        }
    }

    #[test]
    fn case_and_pieces_never_meet() {
        let lower = path_of("abc").unwrap();
        let upper = path_of("ABC").unwrap();
        assert_ne!(lower.to_str().unwrap().to_lowercase(), upper.to_str().unwrap().to_lowercase());
        let (short, long) = ("k".repeat(PIECE), "k".repeat(PIECE + 1));
        assert!(path_of(&short).unwrap().file_name().unwrap().to_str().unwrap().starts_with(FILE));
        assert!(path_of(&long).unwrap().parent().unwrap().to_str().unwrap().contains(FOLDER));
    }

    #[test]
    fn keys_that_are_none() {
        assert!(path_of("").is_none());
        assert!(path_of(&"k".repeat(MOST_BYTES + 1)).is_none());
        assert!(key_of("%zz").is_none() && key_of("%4").is_none() && read("other").is_none());
    }
}
