//! Traces: where the time of a request went, for a collector that OpenTelemetry speaks to (OTLP).
//! Promise: what is not traced costs a comparison; what is tells kinds, names of operations and outcomes, and nothing that
//! anybody wrote or that opens anything.
//!
//! Spans are made here and not from those of `tracing`, whose fields are made for the log.

#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub use self::off::{Span, Tracer};
#[cfg(feature = "otlp")]
pub use self::otlp::{Span, Tracer};

/// What a span tells when it ends.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A request was answered.
    Request {
        /// Query, mutation or subscription; empty: it was none, or refused before that was known.
        kind: &'static str,
        /// As the client calls the operation.
        operation: &'a str,
        /// Of HTTP.
        status: u16,
        /// `ok`, or the code of its gravest error.
        outcome: &'static str,
    },
    /// A batch of jobs was tried.
    Jobs {
        kind: &'static str,
        number: usize,
        /// `ok`, or what went wrong.
        outcome: &'static str,
    },
}

/// Who asks for a request, as the header `traceparent` says (W3C Trace Context, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(feature = "otlp")]
struct Parent {
    trace: u128,
    span: u64,
    /// Whether whoever asks keeps the trace.
    is_kept: bool,
}

#[cfg(feature = "otlp")]
impl Parent {
    /// None: it is not well-formed, and to be passed over.
    fn read(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let mut hex = |length: usize| {
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            parts.next().filter(|part| part.len() == length && part.bytes().all(lower))
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        // A later version may have more at its end; ff is none, and of ours it is known what it has.
        let fits = version != "ff" && (version != "00" || parts.next().is_none());
        fits.then_some(Self { trace, span, is_kept: flags & 1 == 1 })
    }
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_over_or_passed_over_as_a_whole() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = Parent::read(good).expect("the example of the specification");
        assert_eq!(parent.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!((parent.span, parent.is_kept), (0xb7ad_6b71_6920_3331, true));
        let later = good.replacen("00", "cc", 1) + "-what-the-future-will-be-like";
        assert_eq!(Parent::read(&later), Some(parent));
        assert_eq!(Parent::read(&good.replace("-01", "-02")), Some(Parent { is_kept: false, ..parent }));
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::read(bad), None, "{bad}");
        }
    }
}
