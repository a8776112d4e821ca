//! The development mailbox: every mail is a file in the data folder, where a person and a test can read it.
//! Promise: a mail that was handed over is on the disk.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use super::Mail;
use crate::platform::clock::{Clock, Instant};

/// A mail as it was caught.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaughtMail {
    /// Its name in the mailbox.
    pub id: String,
    pub message_id: String,
    pub caught_at: Instant,
    pub to: String,
    pub to_name: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// A folder of caught mail. Clones are the same one.
#[derive(Clone)]
pub struct Mailbox(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    clock: Clock,
    /// Numbers the mails of this process, so that names sort as they came.
    next: Mutex<u64>,
}

impl Mailbox {
    /// The mailbox in this folder, made when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made; in words for an operator.
    pub fn open(folder: PathBuf, clock: Clock) -> Result<Self, String> {
        std::fs::create_dir_all(&folder).map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
        Ok(Self(Arc::new(Inner { folder, clock, next: Mutex::new(0) })))
    }

    /// Keeps a mail. The same mail caught twice is there twice, under the same Message-ID.
    pub(super) async fn catch(&self, mail: Mail, message_id: String) -> Result<(), String> {
        let caught_at = self.0.clock.now();
        let number = {
            let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next
        };
        let id = format!("{}-{number:06}", caught_at.format("%Y%m%dT%H%M%S%.6fZ"));
        let Mail { to, to_name, subject, text, html, .. } = mail;
        // In development only, for whoever looks at the log alone. No subject carries a code or an address.
        tracing::info!(mail = %id, subject, "a mail was caught: see /dev/mailbox");
        let caught = CaughtMail { id, message_id, caught_at, to, to_name, subject, text, html };
        let bytes = serde_json::to_vec(&caught).map_err(|e| e.to_string())?;
        let path = self.0.folder.join(format!("{}.json", caught.id));
        write_whole(&path, &bytes).await.map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Every mail, the newest first; at most `limit`, and only to this address where one is given.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn list(&self, to: Option<&str>, limit: usize) -> std::io::Result<Vec<CaughtMail>> {
        let mut folder = tokio::fs::read_dir(&self.0.folder).await?;
        let mut paths = Vec::new();
        while let Some(entry) = folder.next_entry().await? {
            if entry.path().extension().is_some_and(|e| e == "json") {
                paths.push(entry.path());
            }
        }
        paths.sort_unstable_by(|a, b| b.cmp(a));
        let mut mails = Vec::new();
        for path in paths {
            let Ok(bytes) = tokio::fs::read(&path).await else { continue };
            let Ok(mail) = serde_json::from_slice::<CaughtMail>(&bytes) else { continue };
            if to.is_none_or(|to| mail.to.eq_ignore_ascii_case(to)) {
                mails.push(mail);
            }
            if mails.len() == limit {
                break;
            }
        }
        Ok(mails)
    }

    /// One mail by its name.
    pub async fn get(&self, id: &str) -> Option<CaughtMail> {
        let safe = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if !safe {
            return None;
        }
        let bytes = tokio::fs::read(self.0.folder.join(format!("{id}.json"))).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Writes beside and renames, so that a reader never sees half a file and a crash leaves none.
async fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = tokio::fs::File::create(&partial).await?;
    file.write_all(bytes).await?;
    file.sync_data().await?;
    tokio::fs::rename(&partial, path).await
}
