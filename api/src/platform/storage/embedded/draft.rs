//! An object on its way to the disk.
//! Promise: a draft that is dropped before it is whole leaves nothing behind.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::object::{self, Record};

/// A file that is not an object yet.
pub(super) struct Draft {
    file: File,
    path: PathBuf,
    length: u64,
    /// Whether the file is where it belongs, and no longer at `path`.
    moved: bool,
}

impl Draft {
    /// A draft in this file, which is new.
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file, path, length: 0, moved: false }
    }

    /// Adds to the content.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Adds `length` bytes of another file; the kernel copies them where it can.
    pub(super) fn append_file(&mut self, from: &mut File, length: u64) -> io::Result<()> {
        if io::copy(&mut from.take(length), &mut self.file)? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.length += length;
        Ok(())
    }

    /// Adds what is known about the object; now it is whole.
    pub(super) fn end(&mut self, record: &Record) -> io::Result<()> {
        object::write_end(&mut self.file, self.length, record)
    }

    /// Syncs the draft and renames it. `only_new`: fails with `AlreadyExists` when there is something.
    pub(super) fn move_to(mut self, target: &Path, only_new: bool) -> io::Result<()> {
        self.file.sync_all()?;
        if only_new {
            // Unlike a rename, a link replaces nothing. The name of the draft goes when it is dropped.
            return fs::hard_link(&self.path, target);
        }
        fs::rename(&self.path, target)?;
        self.moved = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.moved
            && let Err(cause) = fs::remove_file(&self.path)
        {
            tracing::warn!(%cause, "a draft of an object stays until the next start");
        }
    }
}
