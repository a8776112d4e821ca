//! Reads a file forwards in small pieces, and knows where it is.
//! Promise: a file that ends too early becomes a rejection and never a panic; memory is one small buffer.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::Rejection;

/// Why an inspection ends before its end.
pub(super) enum Stop {
    /// The file could not be read.
    Io(io::Error),
    /// It was read, and is not taken.
    Rejected(Rejection),
}

impl From<io::Error> for Stop {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// What inspecting gives.
pub(super) type Found<T> = Result<T, Stop>;

/// Ends the inspection with these words.
pub(super) fn reject<T>(words: impl Into<Rejection>) -> Found<T> {
    Err(Stop::Rejected(words.into()))
}

/// A file, read through a buffer.
pub(super) struct Source<'a, R> {
    file: BufReader<&'a mut R>,
    at: u64,
    length: u64,
}

const BUFFER: usize = 32 * 1024;

impl<'a, R: Read + Seek> Source<'a, R> {
    /// Reads `file` from its beginning; `length` is how many bytes it has.
    pub(super) fn open(file: &'a mut R, length: u64) -> Found<Self> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file: BufReader::with_capacity(BUFFER, file), at: 0, length })
    }

    /// Where the next byte is.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    /// The next bytes as far as they are in memory; empty only at the end. `consume` passes them.
    pub(super) fn chunk(&mut self) -> Found<&[u8]> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let chunk = self.file.fill_buf()?;
        Ok(chunk.get(..left.min(chunk.len())).unwrap_or_default())
    }

    /// Passes bytes that `chunk` showed.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.file.consume(bytes);
        self.at += bytes as u64;
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Found<u8> {
        let [byte] = self.bytes()?;
        Ok(byte)
    }

    /// The next `N` bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> Found<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// As many bytes as fit into `into`.
    pub(super) fn fill(&mut self, into: &mut [u8]) -> Found<()> {
        if into.len() as u64 > self.left() {
            return reject(Rejection::INCOMPLETE);
        }
        match self.file.read_exact(into) {
            Ok(()) => {
                self.at += into.len() as u64;
                Ok(())
            }
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => reject(Rejection::INCOMPLETE),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Passes so many bytes.
    pub(super) fn skip(&mut self, bytes: u64) -> Found<()> {
        match self.at.checked_add(bytes) {
            Some(to) if to <= self.length => self.seek(to),
            _ => reject(Rejection::INCOMPLETE),
        }
    }

    /// Goes on at a place inside the file. Cheap when it is in the buffer.
    pub(super) fn seek(&mut self, to: u64) -> Found<()> {
        if to > self.length {
            return reject(Rejection::INCOMPLETE);
        }
        let relative = i128::from(to) - i128::from(self.at);
        match i64::try_from(relative) {
            Ok(relative) => self.file.seek_relative(relative)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(to))?),
        }
        self.at = to;
        Ok(())
    }

    /// The last bytes of the file, at most `most` of them.
    pub(super) fn tail(&mut self, most: usize) -> Found<Vec<u8>> {
        let from = self.length.saturating_sub(most as u64);
        let mut tail = vec![0; usize::try_from(self.length - from).unwrap_or(most).min(most)];
        self.seek(from)?;
        self.fill(&mut tail)?;
        Ok(tail)
    }
}

/// A little-endian number at an offset of `bytes`; zero when it lies outside.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

/// A little-endian number at an offset of `bytes`; zero when it lies outside.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}
