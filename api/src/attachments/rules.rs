//! What is asked of a file before any of its bytes are looked at. Pure.

use media::kind::Kind;

use crate::platform::error::{UserError, UserErrorCode as Code};

/// Characters of a name at most, what file systems can hold.
const LONGEST_NAME: usize = 255;

/// A name that can be shown, and used as the name of a file anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName(String);

impl FileName {
    pub(super) fn parse(field: &str, raw: &str) -> Result<Self, UserError> {
        let wrong = |code, message: String| Err(UserError::at(field, code, message));
        let name = raw.trim();
        let length = name.chars().count();
        if length == 0 {
            return wrong(Code::TooShort, "Give the file a name.".into());
        }
        if length > LONGEST_NAME {
            let message = format!("A file name has at most {LONGEST_NAME} characters ({length} now).");
            return wrong(Code::TooLong, message);
        }
        if name.contains(['/', '\\']) || matches!(name, "." | "..") {
            return wrong(Code::InvalidValue, "Give the name alone, without a folder.".into());
        }
        // Marks that turn the direction of writing make `exe.txt` of `txt.exe` (Unicode TR 36, section 2.5).
        let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if name.chars().any(|c| c.is_control() || turns(c)) {
            let message = "Control characters and marks of writing direction cannot be used in a file name.";
            return wrong(Code::InvalidValue, message.into());
        }
        Ok(Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// What a file claims to be, by its type, and by its name where the client does not know.
pub(super) fn claimed(field: &str, content_type: &str, name: &FileName) -> Result<Kind, UserError> {
    let unknown = matches!(content_type.trim(), "" | "application/octet-stream");
    let claimed = if unknown { Kind::from_name(name.as_str()) } else { Kind::from_content_type(content_type) };
    claimed.ok_or_else(|| {
        let message = "Files of this type cannot be attached. Take JPEG, PNG, GIF, WebP, PDF, Word, Excel, PowerPoint \
                       or plain text.";
        UserError::at(field, Code::InvalidValue, message)
    })
}

/// A size in bytes that a file may have.
pub(super) fn size(field: &str, bytes: u64, limit: u64) -> Result<u64, UserError> {
    if bytes == 0 {
        return Err(UserError::at(field, Code::TooShort, "This file is empty."));
    }
    if bytes > limit {
        let message = format!("A file has at most {limit} bytes ({bytes} now).");
        return Err(UserError::at(field, Code::TooLong, message));
    }
    Ok(bytes)
}

/// A SHA-256 in 64 hexadecimal digits.
pub(super) fn sha256(field: &str, text: &str) -> Result<[u8; 32], UserError> {
    let mut digest = [0; 32];
    let digits = text.trim().as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        match pair {
            [high, low] => match (value(*high), value(*low)) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(not_a_digest(field)),
            },
            _ => return Err(not_a_digest(field)),
        }
    }
    if digits.len() == 64 { Ok(digest) } else { Err(not_a_digest(field)) }
}

fn not_a_digest(field: &str) -> UserError {
    UserError::at(field, Code::InvalidValue, "Give the SHA-256 of the file in 64 hexadecimal digits.")
}

/// The name under which a file is downloaded: its own, with the ending of what it has become.
pub(super) fn download_name(name: &str, kind: Kind) -> String {
    if Kind::from_name(name) == Some(kind) {
        return name.to_owned();
    }
    // What ends in something else keeps it: `report.v2` becomes `report.v2.pdf`.
    let stem = match name.rsplit_once('.') {
        Some((stem, _)) if Kind::from_name(name).is_some() && !stem.is_empty() => stem,
        _ => name,
    };
    format!("{stem}.{}", kind.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_lead_elsewhere_is_refused() {
        for name in ["", "  ", "../a.txt", "a/b.txt", "a\\b.txt", "..", "a\r\nb.txt", "a\u{0}.txt", "a\u{202e}txt.exe"]
        {
            assert!(FileName::parse("f", name).is_err(), "{name:?}");
        }
        assert!(FileName::parse("f", &"x".repeat(256)).is_err());
        assert!(FileName::parse("f", &"ü".repeat(255)).is_ok());
        assert_eq!(
            FileName::parse("f", " Ünï 日本.pdf ").map(FileName::into_string).ok().as_deref(),
            Some("Ünï 日本.pdf")
        );
    }

    #[test]
    fn a_digest_has_64_digits() {
        assert_eq!(sha256("f", &"0f".repeat(32)).ok(), Some([15; 32]));
        for text in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"é".repeat(32), &"0f".repeat(31)] {
            assert!(sha256("f", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_download_is_named_as_what_it_is() {
        assert_eq!(download_name("photo.jpg", Kind::Webp), "photo.webp");
        assert_eq!(download_name("photo.JPG", Kind::Jpeg), "photo.JPG");
        assert_eq!(download_name("report.v2", Kind::Pdf), "report.v2.pdf");
        assert_eq!(download_name(".jpg", Kind::Webp), ".jpg.webp");
    }
}
