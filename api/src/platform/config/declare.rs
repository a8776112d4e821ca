//! How settings are declared: once, with their meaning and their default, from which both the program and its reference
//! take them.

/// A setting as the reference lists it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub doc: &'static str,
}

/// The settings of one concern, as the reference lists them.
#[derive(Clone, Copy, Debug)]
pub struct SettingsOf {
    /// What they are about.
    pub concern: &'static str,
    pub settings: &'static [Setting],
}

macro_rules! settings {
    ($($(#[doc = $section_doc:literal])* $section:ident: $Section:ident {
        $($(#[doc = $doc:literal])+ $name:ident => $field:ident: $ty:ty = $default:literal;)*
    })*) => {
        /// Every setting, in sections.
        #[derive(Clone, Debug)]
        pub struct Config { $($(#[doc = $section_doc])* pub $section: $Section,)* }

        $($(#[doc = $section_doc])*
        #[derive(Clone, Debug)]
        pub struct $Section { $($(#[doc = $doc])+ pub $field: $ty,)* })*

        /// Every setting in order, for the names that a file may use.
        pub const SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($name), default: $default, doc: concat!($($doc, "\n"),+),
        },)*)*];

        /// The same by what they are about, for the reference.
        pub const SECTIONS: &[SettingsOf] = &[$(SettingsOf {
            concern: concat!($($section_doc),*),
            settings: &[$(Setting {
                name: stringify!($name), default: $default, doc: concat!($($doc, "\n"),+),
            },)*],
        },)*];

        impl Config {
            pub(super) fn parse(text_of: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Option<Self> {
                // Every section is read before any is missed, so that all problems are told.
                $(let $section = {
                    $(let $field = read::<$ty>(stringify!($name), $default, text_of, problems);)*
                    (|| Some($Section { $($field: $field?,)* }))()
                };)*
                Some(Self { $($section: $section?,)* })
            }
        }
    };
}
