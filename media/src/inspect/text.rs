//! Plain text.
//! Promise: every byte is looked at, and neither a browser nor an interpreter takes the file for something else.

use std::io::{Read, Seek};

use super::{
    Kind, Rejection, none_of_them, signatures,
    source::{Found, Source, reject},
};

/// WHATWG MIME Sniffing §7.1: what browsers take for HTML when a blank or `>` follows.
const TAGS: &[&[u8]] = &[
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
    b"<!--",
    // Not there, but shown as documents or run all the same.
    b"<svg",
    b"<math",
    b"<img",
    b"<object",
    b"<embed",
    b"<meta",
    b"<link",
    b"<base",
    b"<form",
];

/// §7.1 again (`<?xml`, `%PDF-`, `%!PS-Adobe-`), and what PHP runs.
const STARTS: &[&[u8]] = &[b"<?xml", b"<?php", b"<?=", b"%pdf-", b"%!ps", b"{\\rtf"];

/// Checks a file that begins like none of the other types.
pub(super) fn text<R: Read + Seek>(source: &mut Source<'_, R>, head: &[u8]) -> Found<Kind> {
    // The byte order marks of UTF-8 and UTF-16; §7.1 looks at them first, too.
    let (plain, sixteen) = match head {
        [0xFF, 0xFE, rest @ ..] => (narrow(rest, u16::from_le_bytes), Some(u16::from_le_bytes as fn([u8; 2]) -> u16)),
        [0xFE, 0xFF, rest @ ..] => (narrow(rest, u16::from_be_bytes), Some(u16::from_be_bytes as fn([u8; 2]) -> u16)),
        [0xEF, 0xBB, 0xBF, rest @ ..] => (rest.to_vec(), None),
        all => (all.to_vec(), None),
    };
    let clean = match sixteen {
        Some(unit) => units_are_text(source, unit)?,
        None => bytes_are_text(source)?,
    };
    if !clean {
        return none_of_them(head);
    }
    if is_markup(&plain) {
        let words = "This file is a page, a drawing or a program in text form, not plain text.";
        return reject(format!("{words} {}", Rejection::ACCEPTED));
    }
    if signatures::has_pdf_header(&plain) {
        return reject(Rejection::TWO_IN_ONE);
    }
    Ok(Kind::Txt)
}

/// The Latin letters of UTF-16, as bytes; everything else becomes something that no pattern has.
fn narrow(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    bytes
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk())
        .map(|pair| u8::try_from(unit(*pair)).unwrap_or(0))
        .collect()
}

fn is_markup(plain: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b' ');
    let start = plain.iter().position(|byte| !blank(byte)).unwrap_or(plain.len());
    let start = plain.get(start..).unwrap_or_default();
    let tag = |tag: &&[u8]| {
        let next = start.get(tag.len());
        signatures::begins(start, tag) && next.is_none_or(|byte| blank(byte) || matches!(byte, b'>' | b'/'))
    };
    TAGS.iter().any(tag) || STARTS.iter().any(|pattern| signatures::begins(start, pattern))
}

/// WHATWG MIME Sniffing §3: a binary data byte is 0x00–0x08, 0x0B, 0x0E–0x1A or 0x1C–0x1F.
fn is_binary(unit: u16) -> bool {
    matches!(unit, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

fn bytes_are_text<R: Read + Seek>(source: &mut Source<'_, R>) -> Found<bool> {
    loop {
        let chunk = source.chunk()?;
        if chunk.is_empty() {
            return Ok(source.left() == 0);
        }
        if chunk.iter().any(|byte| is_binary(u16::from(*byte))) {
            return Ok(false);
        }
        let read = chunk.len();
        source.consume(read);
    }
}

/// Whether UTF-16 decodes: surrogates in pairs (RFC 2781 §2.2), no half unit at the end, no binary data.
fn units_are_text<R: Read + Seek>(source: &mut Source<'_, R>, unit: fn([u8; 2]) -> u16) -> Found<bool> {
    let mut high = false;
    while source.left() > 0 {
        if source.left() == 1 {
            return Ok(false);
        }
        let unit = unit(source.bytes()?);
        let low = (0xDC00..0xE000).contains(&unit);
        if low != high || is_binary(unit) {
            return Ok(false);
        }
        high = (0xD800..0xDC00).contains(&unit);
    }
    Ok(!high)
}
