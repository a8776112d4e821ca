//! The first day of the week by locale.
//! Promise: what UTS 35 part 4, "First Day Overrides", says of a BCP 47 tag, by the data of CLDR 48.2
//! (`supplemental/weekData` and, for languages that CLDR has a locale of, `supplemental/likelySubtags`); Monday for
//! everything else.

use chrono::Weekday;

/// Regions whose week begins on Sunday.
const SUNDAY: &str = "\
    ag as bd br bs bt bw bz ca co dm do et gt gu hk hn id il in is jm jp ke kh kr la mh mm mo mt mx mz ni np pa pe \
    ph pk pr pt py sa sg sv th tt tw um us ve vi ws ye za zw";

/// Regions whose week begins on Saturday.
const SATURDAY: &str = "af bh dj dz eg iq ir jo kw ly om qa sd sy";

/// Regions whose week begins on Friday.
const FRIDAY: &str = "mv";

/// Where a language is spoken when its tag does not say it, for regions that do not begin the week on Monday.
#[rustfmt::skip]
const LIKELY: &[(&str, &str)] = &[
    ("af", "ps"),
    ("bd", "bn ccp"),
    ("br", "kgp pt yrl"),
    ("bt", "dz"),
    ("ca", "cr csw iu mic moh oj oka"),
    ("dz", "kab"),
    ("eg", "ar cop"),
    ("et", "aa am gez om sid ti wal"),
    ("gt", "kek quc"),
    ("gu", "ch"),
    ("hk", "yue"),
    ("id", "bew id in jv jw su"),
    ("il", "he iw"),
    ("in", "as bgc bh bho brx doi gu hi kn kok ks kxv mai ml mni mr or pa raj sa sat ta te xnr"),
    ("iq", "ckb syr"),
    ("ir", "ae bqi fa lrc mzn sdh"),
    ("is", "is"),
    ("jp", "ja"),
    ("ke", "dav ebu guz kam ki kln luo luy mas mer saq"),
    ("kh", "km"),
    ("kr", "ko"),
    ("la", "lo"),
    ("mh", "mh"),
    ("mm", "my rhg shn"),
    ("mt", "mt"),
    ("mv", "dv"),
    ("mz", "mgh seh vmw"),
    ("np", "ne suz"),
    ("pe", "qu"),
    ("ph", "ceb fil tl"),
    ("pk", "bal bgn sd skr trw ur"),
    ("py", "gn"),
    ("sy", "apc"),
    ("th", "th"),
    ("tw", "trv"),
    ("us", "cad cho chr cic en haw hnj ik lkt mus mww nv osa"),
    ("ws", "sm"),
    ("za", "af nr nso ss st tn ts ve xh zu"),
    ("zw", "nd sn"),
];

/// The day on which the week begins for this BCP 47 language tag, any case, `_` as good as `-`.
///
/// In this order: the keyword `fw`, the region of `rg`, Monday for `ca-iso8601`, the region subtag, the region of
/// `sd`, the region in which the language is likely spoken. What is not valid is passed over.
#[must_use]
pub fn first_weekday(tag: &str) -> Weekday {
    let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
    let tag = Tag::parse(&tag);
    let keyword = |name| tag.keywords.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let by_region = |name| keyword(name).and_then(region_of_subdivision).map(of_region);
    let by_calendar = || keyword("ca").filter(|calendar| *calendar == "iso8601").map(|_| Weekday::Mon);
    keyword("fw")
        .and_then(weekday)
        .or_else(|| by_region("rg"))
        .or_else(by_calendar)
        .or_else(|| tag.region.map(of_region))
        .or_else(|| by_region("sd"))
        .or_else(|| likely_region(tag.language, tag.script).map(of_region))
        .unwrap_or(Weekday::Mon)
}

/// The parts of a tag that matter here, in lower case.
#[derive(Default)]
struct Tag<'a> {
    language: &'a str,
    script: Option<&'a str>,
    region: Option<&'a str>,
    keywords: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    fn parse(tag: &'a str) -> Self {
        let mut subtags = tag.split('-').peekable();
        let Some(mut language) = subtags.next().filter(|first| first.len() > 1) else { return Self::default() };
        // An extended language stands for itself: zh-yue is yue.
        while let Some(extended) = subtags.next_if(|next| next.len() == 3 && is_alphabetic(next)) {
            language = extended;
        }
        let script = subtags.next_if(|next| next.len() == 4 && is_alphabetic(next));
        let region = subtags.next_if(|next| is_region(next)).filter(|region| !is_private(region));
        Self { language, script, region, keywords: keywords(subtags) }
    }
}

/// The keywords of the U extension with the first subtag of their values; those of other extensions are passed over.
fn keywords<'a>(subtags: impl Iterator<Item = &'a str>) -> Vec<(&'a str, &'a str)> {
    let (mut found, mut unicode, mut key) = (Vec::new(), false, None);
    for subtag in subtags.take_while(|subtag| *subtag != "x") {
        match subtag.len() {
            1 => (unicode, key) = (subtag == "u", None),
            2 if unicode => key = Some(subtag),
            _ => found.extend(key.take().map(|key| (key, subtag))),
        }
    }
    found
}

fn weekday(value: &str) -> Option<Weekday> {
    let days = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
    days.into_iter().find(|day| day.to_string().eq_ignore_ascii_case(value))
}

/// The region of a subdivision: `us` of `usca`, and of `uszzzz`, which means all of it.
fn region_of_subdivision(subdivision: &str) -> Option<&str> {
    let (region, rest) = subdivision.split_at_checked(if is_alphabetic(subdivision.get(..1)?) { 2 } else { 3 })?;
    (is_region(region) && !is_private(region) && (1..=4).contains(&rest.len())).then_some(region)
}

fn of_region(region: &str) -> Weekday {
    let among = |regions: &str| regions.split_whitespace().any(|each| each == region);
    match () {
        () if among(SUNDAY) => Weekday::Sun,
        () if among(SATURDAY) => Weekday::Sat,
        () if among(FRIDAY) => Weekday::Fri,
        () => Weekday::Mon,
    }
}

fn likely_region(language: &str, script: Option<&str>) -> Option<&'static str> {
    match (language, script.unwrap_or_default()) {
        ("zh" | "cmn", "hant" | "hanb" | "bopo") => Some("tw"),
        ("yue", "hans") => Some("cn"),
        ("az", "arab") => Some("ir"),
        ("ku", "arab") => Some("iq"),
        ("tg", "arab") => Some("pk"),
        ("uz", "arab") => Some("af"),
        ("en", "shaw") => Some("gb"),
        _ => {
            let spoken = |languages: &str| languages.split_whitespace().any(|each| each == language);
            LIKELY.iter().find(|(_, languages)| spoken(languages)).map(|(region, _)| *region)
        }
    }
}

fn is_alphabetic(subtag: &str) -> bool {
    subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_region(subtag: &str) -> bool {
    let digits = subtag.bytes().all(|byte| byte.is_ascii_digit());
    (subtag.len() == 2 && is_alphabetic(subtag)) || (subtag.len() == 3 && digits)
}

/// Region codes that stand for no region: `zz`, "unknown", and those that ISO 3166 leaves to private use.
fn is_private(region: &str) -> bool {
    matches!(region.as_bytes(), b"aa" | b"zz" | [b'q', b'm'..=b'z'] | [b'x', b'a'..=b'j' | b'l'..=b'z'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const TAGS: &[(&str, &str)] = &[
        // Languages alone, by the region in which each is likely spoken.
        ("en", "Sun"), ("pt", "Sun"), ("de", "Mon"), ("ar", "Sat"), ("fa", "Sat"), ("he", "Sun"), ("ja", "Sun"), ("zh", "Mon"),
        ("ko", "Sun"), ("hi", "Sun"), ("th", "Sun"), ("fr", "Mon"), ("es", "Mon"), ("it", "Mon"), ("nl", "Mon"), ("ru", "Mon"),
        ("pl", "Mon"), ("tr", "Mon"), ("uk", "Mon"), ("sv", "Mon"), ("is", "Sun"), ("vi", "Mon"), ("id", "Sun"), ("ms", "Mon"),
        ("bn", "Sun"), ("ur", "Sun"), ("ne", "Sun"), ("dv", "Fri"), ("ps", "Sat"), ("ckb", "Sat"), ("fil", "Sun"), ("af", "Sun"),
        ("sw", "Mon"), ("am", "Sun"), ("mt", "Sun"), ("yue", "Sun"), ("iw", "Sun"), ("in", "Sun"), ("tl", "Sun"),
        // Regions.
        ("en-US", "Sun"), ("en-GB", "Mon"), ("en-AU", "Mon"), ("en-NZ", "Mon"), ("en-IE", "Mon"), ("en-CA", "Sun"), ("en-IN", "Sun"),
        ("en-ZA", "Sun"), ("en-MV", "Fri"), ("en-AE", "Mon"), ("pt-BR", "Sun"), ("pt-PT", "Sun"), ("de-AT", "Mon"), ("es-MX", "Sun"),
        ("es-AR", "Mon"), ("fr-CA", "Sun"), ("ar-SA", "Sun"), ("ar-AE", "Mon"), ("ar-EG", "Sat"), ("ar-MA", "Mon"), ("ar-SY", "Sat"),
        ("zh-CN", "Mon"), ("zh-TW", "Sun"), ("zh-HK", "Sun"), ("en-SG", "Sun"), ("de-US", "Sun"), ("ms-MY", "Mon"), ("und-US", "Sun"),
        ("es-419", "Mon"), ("en-001", "Mon"), ("en-150", "Mon"),
        // Scripts.
        ("zh-Hant", "Sun"), ("zh-Hans", "Mon"), ("zh-Hant-CN", "Mon"), ("zh-Hans-SG", "Sun"), ("uz-Arab", "Sat"), ("uz-Latn", "Mon"),
        ("ku-Arab", "Sat"), ("en-Shaw", "Mon"), ("yue-Hans", "Mon"), ("sr-Latn-RS", "Mon"),
        // Spelling, variants, extended languages.
        ("EN_us", "Sun"), ("en-latn-us", "Sun"), (" en-US ", "Sun"), ("de-1996", "Mon"), ("sl-rozaj-biske", "Mon"), ("zh-yue", "Sun"),
        ("zh-yue-CN", "Mon"), ("ca-ES-valencia", "Mon"),
        // Extensions.
        ("en-US-u-fw-mon", "Mon"), ("de-u-fw-sun", "Sun"), ("de-DE-u-ca-gregory-fw-wed-nu-latn", "Wed"), ("en-u-fw-thu", "Thu"),
        ("de-U-FW-SAT", "Sat"), ("en-u-fw-blursday", "Sun"), ("en-u-fw", "Sun"), ("en-u-attr-fw-fri", "Fri"), ("en-u-fw-tue-fw-wed", "Tue"),
        ("en-t-de-fw-mon", "Sun"), ("en-x-u-fw-mon", "Sun"), ("en-u-fw-mon-x-fw-sat", "Mon"), ("en-a-foo-u-fw-mon", "Mon"),
        ("en-u-rg-gbzzzz", "Mon"), ("de-u-rg-uszzzz", "Sun"), ("en-US-u-rg-afzzzz-fw-fri", "Fri"), ("en-u-rg-qmzzzz", "Sun"),
        ("en-u-sd-gbeng", "Mon"), ("en-US-u-sd-gbeng", "Sun"), ("en-u-ca-iso8601", "Mon"), ("en-US-u-ca-iso8601", "Mon"),
        ("en-MV-u-ca-iso8601-rg-afzzzz-sd-cabc", "Sat"), ("en-MV-u-ca-iso8601-sd-cabc", "Mon"), ("en-MV-u-sd-cabc", "Fri"),
        // Nothing that could be known.
        ("", "Mon"), ("und", "Mon"), ("root", "Mon"), ("C", "Mon"), ("x-us", "Mon"), ("i-klingon", "Mon"), ("qqq", "Mon"), ("-", "Mon"),
        ("en-ZZ", "Sun"), ("de-ZZ", "Mon"), ("nonsense that is long", "Mon"), ("-US", "Mon"), ("ü-ß", "Mon"), ("en-u-rg-ü", "Sun"),
    ];

    #[test]
    fn every_tag_has_the_first_day_that_cldr_gives_it() {
        for (tag, expected) in TAGS {
            assert_eq!(first_weekday(tag).to_string(), *expected, "{tag}");
        }
    }

    #[test]
    fn no_region_and_no_language_is_listed_twice() {
        let regions: Vec<&str> = [SUNDAY, SATURDAY, FRIDAY].iter().flat_map(|each| each.split_whitespace()).collect();
        let languages: Vec<&str> = LIKELY.iter().flat_map(|(_, each)| each.split_whitespace()).collect();
        for list in [&regions, &languages] {
            assert!(list.iter().enumerate().all(|(at, each)| !list[..at].contains(each)));
        }
        assert_eq!((regions.len(), languages.len()), (71, 135));
        assert!(LIKELY.iter().all(|(region, _)| regions.contains(region)));
    }
}
