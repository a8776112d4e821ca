//! The old Office files: a Compound File, which is a small file system (\[MS-CFB\]).
//! Promise: the table of sectors and the directory are read, each sector at most once, and every number in them is
//! checked before it is used.

use std::io::{Read, Seek};

use super::{
    Kind, Rejection, none_of_them, signatures,
    source::{Found, Source, reject, u16_at, u32_at},
};

/// The largest number of a sector; above are marks (\[MS-CFB\] 2.1).
const LAST: u32 = 0xFFFF_FFFA;
const FREE: u32 = 0xFFFF_FFFF;
const NONE: u32 = 0xFFFF_FFFF;
/// Of the directory that is read: 8 192 entries, of which the largest of real files has some hundreds.
const DIRECTORY: usize = 1 << 20;

/// Tells Word, Excel and PowerPoint apart by the streams in the root storage: \[MS-DOC\] 2.1.1, \[MS-XLS\] 2.1.7.20.1,
/// \[MS-PPT\] 2.1.2. Installers, mails and thumbnails are Compound Files too, and none of the types.
pub(super) fn office<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<Kind> {
    let mut header = [0; 512];
    source.fill(&mut header)?;
    let mut file = Compound::open(source, &header)?;
    file.end_is_there()?;
    let directory = file.directory(u32_at(&header, 48))?;
    let names = root_names(&directory);
    let has = |name: &str| names.iter().any(|other| other == name);
    if has("ENCRYPTEDPACKAGE") {
        return reject("This file is protected by a password. Save it without one, and upload that.");
    }
    if has("MACROS") || has("_VBA_PROJECT_CUR") || has("VBA") {
        return reject(Rejection::MACROS);
    }
    match (has("WORDDOCUMENT"), has("WORKBOOK") || has("BOOK"), has("POWERPOINT DOCUMENT")) {
        (true, false, false) => Ok(Kind::Doc),
        (false, true, false) => Ok(Kind::Xls),
        (false, false, true) => Ok(Kind::Ppt),
        (false, false, false) => none_of_them(&header),
        _ => reject(Rejection::TWO_IN_ONE),
    }
}

struct Compound<'s, 'f, R> {
    source: &'s mut Source<'f, R>,
    /// Bytes of a sector, as a power of two.
    shift: u32,
    /// The sectors in which the table lies.
    tables: Vec<u32>,
}

impl<'s, 'f, R: Read + Seek> Compound<'s, 'f, R> {
    /// Reads the header (\[MS-CFB\] 2.2) and the list of the sectors of the table (2.5).
    fn open(source: &'s mut Source<'f, R>, header: &[u8]) -> Found<Self> {
        let shift = match (u16_at(header, 26), u16_at(header, 30), u16_at(header, 28)) {
            (3, 9, 0xFFFE) => 9,
            (4, 12, 0xFFFE) => 12,
            _ => return reject(Rejection::DAMAGED),
        };
        let mut file = Self { source, shift, tables: Vec::new() };
        let listed = header.get(76..512).unwrap_or_default();
        file.list(listed);
        let (mut next, per_sector) = (u32_at(header, 68), file.size() / 4 - 1);
        // A list that is longer than the file has sectors goes in a circle.
        let sectors = file.source.length() >> file.shift;
        let mut most = sectors;
        while next < LAST && most > 0 {
            most -= 1;
            let sector = file.sector(next)?;
            file.list(sector.get(..per_sector * 4).unwrap_or_default());
            next = u32_at(&sector, per_sector * 4);
        }
        // A table that is larger than the file needs would be read in vain.
        if next < LAST || file.tables.len() as u64 > sectors / per_sector as u64 + 2 {
            return reject(Rejection::DAMAGED);
        }
        Ok(file)
    }

    fn size(&self) -> usize {
        1 << self.shift
    }

    fn list(&mut self, numbers: &[u8]) {
        let numbers = numbers.chunks_exact(4).map(|four| u32_at(four, 0));
        self.tables.extend(numbers.take_while(|number| *number <= LAST));
    }

    fn sector(&mut self, number: u32) -> Found<Vec<u8>> {
        let mut sector = vec![0; self.size()];
        self.source.seek((u64::from(number) + 1) << self.shift)?;
        self.source.fill(&mut sector)?;
        Ok(sector)
    }

    /// Refuses a file that ends before the last sector in use, and one that has another file behind it.
    fn end_is_there(&mut self) -> Found<()> {
        let per_sector = self.size() as u64 / 4;
        let mut end = 0;
        for (index, number) in self.tables.clone().into_iter().enumerate() {
            let table = self.sector(number)?;
            if let Some(used) = table.chunks_exact(4).rposition(|four| u32_at(four, 0) != FREE) {
                end = index as u64 * per_sector + used as u64 + 2;
            }
        }
        // Some programs do not fill the last sector.
        let end = end << self.shift;
        if end == 0 {
            return reject(Rejection::DAMAGED);
        }
        if end > self.source.length() + self.size() as u64 - 1 {
            return reject(Rejection::INCOMPLETE);
        }
        if end < self.source.length() {
            self.source.seek(end)?;
            signatures::refuse_in_rest(self.source)?;
        }
        Ok(())
    }

    /// What follows a sector in its chain.
    fn after(&mut self, number: u32) -> Found<u32> {
        let per_sector = self.size() / 4;
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(table) = self.tables.get(number / per_sector) else {
            return reject(Rejection::DAMAGED);
        };
        self.source.seek(((u64::from(*table) + 1) << self.shift) + (number % per_sector) as u64 * 4)?;
        Ok(u32::from_le_bytes(self.source.bytes()?))
    }

    fn directory(&mut self, first: u32) -> Found<Vec<u8>> {
        let mut directory = Vec::new();
        let mut next = first;
        while next <= LAST {
            // Longer than any real one, or a circle.
            if directory.len() >= DIRECTORY {
                return reject(Rejection::DAMAGED);
            }
            directory.extend(self.sector(next)?);
            next = self.after(next)?;
        }
        Ok(directory)
    }
}

/// The names in the root storage, in capitals: it compares them so (\[MS-CFB\] 2.6.4). Streams of objects inside the
/// document lie in storages of their own, and do not count.
fn root_names(directory: &[u8]) -> Vec<String> {
    let entry = |number: u32| {
        let at = usize::try_from(number).ok()?.checked_mul(128)?;
        directory.get(at..at.checked_add(128)?)
    };
    let mut seen = vec![false; directory.len() / 128];
    let mut open: Vec<u32> = entry(0).map(|root| u32_at(root, 76)).into_iter().collect();
    let mut names = Vec::new();
    while let Some(number) = open.pop() {
        let place = usize::try_from(number).ok().and_then(|number| seen.get_mut(number));
        let (Some(entry), Some(false)) = (entry(number), place.map(|seen| std::mem::replace(seen, true))) else {
            continue;
        };
        // The length counts bytes, and the zero at the end.
        let length = usize::from(u16_at(entry, 64)).saturating_sub(2).min(62);
        let units: Vec<u16> =
            entry.get(..length).unwrap_or_default().chunks_exact(2).map(|pair| u16_at(pair, 0)).collect();
        names.push(String::from_utf16_lossy(&units).to_uppercase());
        open.extend([u32_at(entry, 68), u32_at(entry, 72)].into_iter().filter(|next| *next != NONE));
    }
    names
}
