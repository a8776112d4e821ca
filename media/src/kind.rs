//! The types that an attachment may have.
//! Promise: every accepted type is named here once, with its content type, its endings and its words for people.

/// A type that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Jpeg,
    Png,
    Gif,
    Webp,
    Pdf,
    Doc,
    Docx,
    Xls,
    Xlsx,
    Ppt,
    Pptx,
    Txt,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Jpeg,
        Self::Png,
        Self::Gif,
        Self::Webp,
        Self::Pdf,
        Self::Doc,
        Self::Docx,
        Self::Xls,
        Self::Xlsx,
        Self::Ppt,
        Self::Pptx,
        Self::Txt,
    ];

    /// As registered at IANA. Text is sent as UTF-8, because the file does not say what it is.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Doc => "application/msword",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xls => "application/vnd.ms-excel",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Ppt => "application/vnd.ms-powerpoint",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Txt => "text/plain",
        }
    }

    /// The usual ending of a name, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Pdf => "pdf",
            Self::Doc => "doc",
            Self::Docx => "docx",
            Self::Xls => "xls",
            Self::Xlsx => "xlsx",
            Self::Ppt => "ppt",
            Self::Pptx => "pptx",
            Self::Txt => "txt",
        }
    }

    /// Whether it is decoded, made smaller and gets a thumbnail.
    #[must_use]
    pub fn is_image(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Gif | Self::Webp)
    }

    /// For messages, with its article.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Jpeg => "a JPEG image",
            Self::Png => "a PNG image",
            Self::Gif => "a GIF image",
            Self::Webp => "a WebP image",
            Self::Pdf => "a PDF document",
            Self::Doc => "an old Word document (.doc)",
            Self::Docx => "a Word document",
            Self::Xls => "an old Excel workbook (.xls)",
            Self::Xlsx => "an Excel workbook",
            Self::Ppt => "an old PowerPoint presentation (.ppt)",
            Self::Pptx => "a PowerPoint presentation",
            Self::Txt => "a text file",
        }
    }

    /// Reads a Content-Type. Its parameters (`; charset=…`) and its case say nothing (RFC 9110 §8.3.1). None: not
    /// one of the types.
    #[must_use]
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        // What browsers of old sent, and some programs still do.
        let usual = match essence.to_ascii_lowercase().as_str() {
            "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
            "image/x-png" => "image/png".to_owned(),
            other => other.to_owned(),
        };
        Self::ALL.into_iter().find(|kind| kind.content_type() == usual)
    }

    /// Reads the ending of a name. None: it has none, or one of no type.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let ending = ending(name)?.to_ascii_lowercase();
        match ending.as_str() {
            "jpeg" | "jpe" | "jfif" | "pjpeg" | "pjp" => Some(Self::Jpeg),
            "text" => Some(Self::Txt),
            other => Self::ALL.into_iter().find(|kind| kind.extension() == other),
        }
    }
}

/// The ending of a name, as Windows sees it, which drops dots and blanks at the end. None: there is no dot, or what
/// follows it is no ending but words or a number ("Minutes of 3.5", "Dr. Who").
#[must_use]
pub fn ending(name: &str) -> Option<&str> {
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let (before, ending) = name.rsplit_once('.')?;
    let is_ending = !ending.is_empty()
        && !before.is_empty()
        && !ending.contains(char::is_whitespace)
        && ending.contains(|c: char| !c.is_ascii_digit());
    is_ending.then_some(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_content_type_and_by_its_ending() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_content_type(kind.content_type()), Some(kind));
            assert_eq!(Kind::from_name(&format!("a.b.{}", kind.extension().to_uppercase())), Some(kind));
            assert!(kind.label().starts_with('a'));
        }
        assert_eq!(Kind::ALL.iter().filter(|kind| kind.is_image()).count(), 4);
    }

    #[test]
    fn parameters_and_case_of_a_content_type_say_nothing() {
        assert_eq!(Kind::from_content_type("Text/PLAIN ; charset=utf-8"), Some(Kind::Txt));
        assert_eq!(Kind::from_content_type("image/jpg"), Some(Kind::Jpeg));
        for none in ["", "text/html", "image/svg+xml", "text/plainer", "; text/plain"] {
            assert_eq!(Kind::from_content_type(none), None, "{none}");
        }
    }

    #[test]
    fn an_ending_is_what_windows_takes_for_one() {
        assert_eq!(Kind::from_name("photo.JPE"), Some(Kind::Jpeg));
        assert_eq!(ending("a.exe. ."), Some("exe"));
        assert_eq!(ending("a.pdf.exe"), Some("exe"));
        for none in ["photo", ".txt", "Minutes of 3.5", "Dr. Who", "...", ""] {
            assert_eq!(ending(none), None, "{none}");
        }
    }
}
