//! Recognises the beginnings of other files inside a file: what makes it two files in one.
//! Promise: each signature is long enough that chance does not make it (a video behind a photo has millions of random
//! bytes), and the search is one pass with a small buffer.

use std::io::{Read, Seek};

use super::{
    Rejection,
    source::{Found, Source, reject},
};

/// Found anywhere; letters in lower case stand for both. Formats that a program opens although something stands
/// before them, and markup that browsers and PHP run. ZIP: by its end record (APPNOTE 4.3.16), of disk 0 of 0.
const ANYWHERE: &[&[u8]] = &[
    b"pk\x05\x06\0\0\0\0",
    b"%pdf-",
    b"<!doctype",
    b"<html",
    b"<script",
    b"<svg",
    b"<iframe",
    b"<body",
    b"<?php",
    b"<?xml-stylesheet",
    b"\x7felf\x01\x01\x01",
    b"\x7felf\x02\x01\x01",
    b"this program cannot be run in dos mode",
    b"rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
    b"#!/bin/",
    b"#!/usr/",
];

/// Found where the rest begins, after zeros and blanks.
const AT_ONCE: &[&[u8]] = &[b"mz", b"pk\x03\x04", b"<", b"%!ps", b"#!"];

/// What `<script` and the like look like before the header of another format.
const MARKUP: &[&[u8]] = &[b"<!doctype", b"<html", b"<script", b"<svg", b"<iframe", b"<body", b"<?php"];

/// The most that two pieces must share so that no signature falls between them.
const LONGEST: usize = 40;

/// Whether `pattern`, written in lower case, begins `bytes`.
pub(super) fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.get(..pattern.len()).is_some_and(|start| start.eq_ignore_ascii_case(pattern))
}

/// Whether markup that something would run stands anywhere in `bytes`.
pub(super) fn has_markup(bytes: &[u8]) -> bool {
    find(bytes, MARKUP)
}

/// Whether the header of a PDF stands in `bytes`. Readers look for it in the first 1 024 (ISO 32000-1, annex H.3).
pub(super) fn has_pdf_header(bytes: &[u8]) -> bool {
    find(bytes, &[b"%pdf-"])
}

/// Refuses what stands from here to the end when it is a file of its own, or has one. Everything else behind an image
/// (a phone's notes, a second view, a short film) is let through: it is dropped when the image is made anew.
pub(super) fn refuse_in_rest<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<()> {
    let mut window: Vec<u8> = Vec::new();
    let mut at_once = true;
    loop {
        let chunk = source.chunk()?;
        let read = chunk.len();
        window.extend_from_slice(chunk);
        source.consume(read);
        let start = window.iter().position(|byte| !matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n'));
        let rest = window.get(start.unwrap_or(window.len())..).unwrap_or_default();
        if at_once && (rest.len() >= LONGEST || read == 0) {
            at_once = false;
            if AT_ONCE.iter().any(|pattern| begins(rest, pattern)) {
                return reject(Rejection::TWO_IN_ONE);
            }
        }
        if find(&window, ANYWHERE) {
            return reject(Rejection::TWO_IN_ONE);
        }
        if read == 0 {
            return Ok(());
        }
        // What is undecided stays; of padding nothing does.
        let keep = if at_once { rest.len() } else { LONGEST };
        window.drain(..window.len().saturating_sub(keep));
    }
}

/// Refuses a file that is an archive too: programs look for the end record of a ZIP in the last 65 557 bytes
/// (22 and a comment, APPNOTE 4.3.16) and take what stands before it as they need it.
pub(super) fn refuse_archive_end<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<()> {
    let tail = source.tail(22 + 65_535)?;
    if find(&tail, &[b"pk\x05\x06\0\0\0\0"]) { reject(Rejection::TWO_IN_ONE) } else { Ok(()) }
}

fn find(bytes: &[u8], patterns: &[&[u8]]) -> bool {
    // One look at a table for each byte; the patterns are compared at the few that may begin one.
    let mut starts = [false; 256];
    for first in patterns.iter().filter_map(|pattern| pattern.first()) {
        for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
            if let Some(start) = starts.get_mut(usize::from(byte)) {
                *start = true;
            }
        }
    }
    let may_start = |byte: &u8| starts.get(usize::from(*byte)).copied().unwrap_or_default();
    bytes.iter().enumerate().filter(|(_, byte)| may_start(byte)).any(|(at, _)| {
        let rest = bytes.get(at..).unwrap_or_default();
        patterns.iter().any(|pattern| begins(rest, pattern))
    })
}
