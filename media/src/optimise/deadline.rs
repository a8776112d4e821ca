//! The time that an image may take.
//! Promise: a decoder that reads from here stops soon after the deadline, whatever it does with the bytes.

use std::{
    io::{self, BufRead, Read, Seek, SeekFrom},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use super::Rejection;

/// When to give up, by the time that this thread had a core: on a busy machine an image is not refused for waiting.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Duration);

impl Deadline {
    /// From now on.
    pub(super) fn after(time: Duration) -> Self {
        Self(worked().saturating_add(time))
    }

    pub(super) fn passed(self) -> bool {
        worked() > self.0
    }

    /// Between two steps.
    pub(super) fn check(self) -> Result<(), Rejection> {
        if self.passed() { Err(Self::words()) } else { Ok(()) }
    }

    /// What a decoder's error means: it stopped for the deadline, or the image is damaged. Its own words are not for
    /// the person.
    pub(super) fn because<E>(self) -> impl FnOnce(E) -> Rejection {
        move |_| if self.passed() { Self::words() } else { Rejection::from(super::DAMAGED) }
    }

    fn words() -> Rejection {
        "This image takes too long to decode. Save it with fewer pixels or frames, and upload that.".into()
    }
}

/// How long this thread has had a core.
fn worked() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = u32::try_from(spent.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or_default(), nanoseconds)
}

/// Bytes in memory that fail to be read after a deadline.
pub(super) struct Watched<'a> {
    bytes: &'a [u8],
    at: usize,
    deadline: Deadline,
    /// How many bytes may be given before the clock is read again.
    unwatched: usize,
}

/// Small, because a few bytes can mean many pixels: four kilobytes of deflate are four megabytes at most.
const STEP: usize = 4096;

impl<'a> Watched<'a> {
    pub(super) fn new(bytes: &'a [u8], deadline: Deadline) -> Self {
        Self { bytes, at: 0, deadline, unwatched: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let read = from.len().min(into.len());
        if let (Some(into), Some(from)) = (into.get_mut(..read), from.get(..read)) {
            into.copy_from_slice(from);
        }
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Watched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unwatched == 0 {
            if self.deadline.passed() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.unwatched = STEP;
        }
        let rest = self.rest();
        Ok(rest.get(..self.unwatched.min(rest.len())).unwrap_or_default())
    }

    fn consume(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.bytes.len());
        self.unwatched = self.unwatched.saturating_sub(bytes);
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(at) => (i128::from(at), 0),
            SeekFrom::End(offset) => (self.bytes.len() as i128, i128::from(offset)),
            SeekFrom::Current(offset) => (self.at as i128, i128::from(offset)),
        };
        let at = base + offset;
        self.at = usize::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        u64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput.into())
    }
}
