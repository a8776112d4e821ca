//! Bytes on their way through: written to a file without a name while they arrive, and hashed. What is dropped, or
//! held by a process that is killed, is gone from the disk.
//! Promise: nothing is ever whole in memory, and nothing is longer than was allowed.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use aws_lc_rs::digest;
use futures_util::{Stream, stream};
use hyper::body::Bytes;
use tokio::io::AsyncWriteExt;

/// Bytes that are read at once.
const CHUNK: u64 = 64 * 1024;

/// Bytes that arrived whole. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool {
    file: Arc<File>,
    /// How many.
    pub length: u64,
    pub sha256: [u8; 32],
}

/// Takes bytes as they come.
pub struct SpoolWriter {
    file: tokio::fs::File,
    hash: digest::Context,
    length: u64,
    most: u64,
}

/// Why bytes are not taken.
#[derive(Debug)]
pub enum SpoolError {
    /// More than were allowed.
    TooLong,
    /// The disk.
    Io(io::Error),
}

impl SpoolWriter {
    /// Takes at most `most` bytes, on the disk of this folder.
    ///
    /// # Errors
    /// When no file can be made there.
    pub async fn new(folder: &Path, most: u64) -> io::Result<Self> {
        let folder = folder.to_owned();
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await??;
        let mut file = tokio::fs::File::from_std(file);
        // It would take 2 MiB for each file that arrives.
        file.set_max_buf_size(CHUNK as usize);
        Ok(Self { file, hash: digest::Context::new(&digest::SHA256), length: 0, most })
    }

    /// Takes these too.
    ///
    /// # Errors
    /// When they are too many, or the disk fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.length += bytes.len() as u64;
        if self.length > self.most {
            return Err(SpoolError::TooLong);
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(SpoolError::Io)
    }

    /// There are no more.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn finish(mut self) -> io::Result<Spool> {
        self.file.flush().await?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.hash.finish().as_ref());
        Ok(Spool { file: Arc::new(self.file.into_std().await), length: self.length, sha256 })
    }
}

impl Spool {
    /// Reads from the beginning; each reader has a place of its own.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { spool: self.clone(), at: 0 }
    }

    /// The bytes in pieces, read as they are taken.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
        stream::try_unfold((self.file.clone(), 0, self.length), |(file, at, length)| async move {
            let wanted = CHUNK.min(length - at) as usize;
            if wanted == 0 {
                return Ok(None);
            }
            let reading = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; wanted];
                file.read_exact_at(&mut piece, at).map(|()| (Bytes::from(piece), file))
            });
            let (piece, file) = reading.await??;
            Ok(Some((piece, (file, at + wanted as u64, length))))
        })
    }
}

/// Reads a [`Spool`]. Blocks.
pub struct SpoolReader {
    spool: Spool,
    at: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.spool.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for SpoolReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.spool.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
