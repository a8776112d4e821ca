//! The file of an object: its content, then what is known about it, then where each of them ends.
//! Promise: content and knowledge are one file, so one rename publishes both; a file that was cut short is never taken
//! for an object.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::Stream;
use hyper::body::Bytes;
use s3s::{
    StdError,
    stream::{ByteStream, RemainingLength},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

/// Ends every file; another layout gets another one.
const MAGIC: &[u8; 8] = b"OBJECT\r1";
/// The length of the content, the length of the record, the magic.
const FOOTER: usize = 8 + 4 + MAGIC.len();
/// The longest record that is believed: S3 allows a few kilobytes of metadata.
const MOST_RECORD: u32 = 1 << 20;
/// How much is read from the disk at once.
const READ: u64 = 128 * 1024;

/// What is known about an object.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Record {
    /// The MD5 of the content, in hexadecimal.
    pub(super) etag: String,
    /// Digests that were asked for when it was stored: the algorithm and the Base64.
    #[serde(default)]
    pub(super) checksums: BTreeMap<String, String>,
    /// What to answer with it.
    #[serde(default)]
    pub(super) headers: Headers,
    /// `x-amz-meta-*`.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

/// Headers that are stored with an object and given back with it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
}

/// An object that is open. It stays what it was, whatever is stored under its key meanwhile.
pub(super) struct Stored {
    pub(super) file: File,
    pub(super) record: Record,
    pub(super) length: u64,
    /// To the second, as HTTP has it.
    pub(super) modified: SystemTime,
}

/// Writes what follows the content.
pub(super) fn write_end(file: &mut File, length: u64, record: &Record) -> io::Result<()> {
    let mut end = serde_json::to_vec(record)?;
    let size = u32::try_from(end.len()).ok().filter(|size| *size <= MOST_RECORD);
    let size = size.ok_or_else(|| io::Error::other("the metadata is too long"))?;
    end.extend_from_slice(&length.to_le_bytes());
    end.extend_from_slice(&size.to_le_bytes());
    end.extend_from_slice(MAGIC);
    file.write_all(&end)
}

/// Reads what follows the content.
pub(super) fn open(mut file: File) -> io::Result<Stored> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file of an object is damaged");
    let about = file.metadata()?;
    let end = about.len().checked_sub(FOOTER as u64).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(end))?;
    let (mut length, mut size, mut magic) = ([0; 8], [0; 4], [0; MAGIC.len()]);
    for field in [&mut length[..], &mut size[..], &mut magic[..]] {
        file.read_exact(field)?;
    }
    let (length, size) = (u64::from_le_bytes(length), u32::from_le_bytes(size));
    if &magic != MAGIC || size > MOST_RECORD || length.checked_add(size.into()) != Some(end) {
        return Err(damaged());
    }
    let mut record = vec![0; size as usize];
    file.seek(SeekFrom::Start(length))?;
    file.read_exact(&mut record)?;
    let record = serde_json::from_slice(&record).map_err(|_| damaged())?;
    Ok(Stored { file, record, length, modified: whole_second(about.modified()?) })
}

fn whole_second(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Gives a part of a file, piece by piece; one is in memory at a time.
pub(super) struct Reader {
    state: State,
    left: u64,
}

enum State {
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    Over,
}

impl Reader {
    /// Gives `length` bytes from where the file stands.
    pub(super) fn new(file: File, length: u64) -> Self {
        Self { state: State::Idle(file), left: length }
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Idle(file) if self.left > 0 => {
                    let size = self.left.min(READ);
                    self.state = State::Reading(tokio::task::spawn_blocking(move || read(file, size)));
                }
                State::Reading(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    };
                    let (file, bytes) = read??;
                    self.left -= bytes.len() as u64;
                    self.state = State::Idle(file);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                State::Idle(_) | State::Over => return Poll::Ready(None),
            }
        }
    }
}

impl ByteStream for Reader {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

fn read(mut file: File, size: u64) -> io::Result<(File, Bytes)> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    Read::by_ref(&mut file).take(size).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((file, bytes.into()))
}
