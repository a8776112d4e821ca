//! A reader of event streams (SSE), event by event.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{HeaderMap, StatusCode, body::Incoming};
use serde_json::Value as Json;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One block of an event stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A comment, which no client hears of.
    Comment,
    /// An event with its data; null when it has none.
    Named(String, Json),
}

/// An answer that is read while it comes.
pub struct Events {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    read: Vec<u8>,
}

impl Events {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Incoming) -> Self {
        Self { status, headers, body, read: Vec::new() }
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The next block, comments too. None: the stream has ended.
    pub async fn block(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.next_block()).await.expect("an event in time")
    }

    /// The next event: its name and its data. None: the stream has ended.
    pub async fn event(&mut self) -> Option<(String, Json)> {
        loop {
            match self.block().await? {
                Event::Comment => {}
                Event::Named(name, data) => return Some((name, data)),
            }
        }
    }

    /// The data of the next event, which has this name.
    pub async fn expect(&mut self, name: &str) -> Json {
        let (found, data) = self.event().await.expect("the stream goes on");
        assert_eq!(found, name, "{data}");
        data
    }

    /// Whether no event comes for this long.
    pub async fn is_quiet_for(&mut self, duration: Duration) -> bool {
        let event = async { while matches!(self.next_block().await, Some(Event::Comment)) {} };
        tokio::time::timeout(duration, event).await.is_err()
    }

    /// Waits for the end, before which nothing more may come.
    pub async fn ends(&mut self) {
        assert_eq!(self.event().await, None);
    }

    /// Everything that is left, as text.
    pub async fn rest(&mut self) -> String {
        let all = async { while self.read_on().await {} };
        tokio::time::timeout(PATIENCE, all).await.expect("the end in time");
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    async fn next_block(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(parse(&String::from_utf8(block).expect("text")));
            }
            if !self.read_on().await {
                assert!(self.read.is_empty(), "half an event: {}", String::from_utf8_lossy(&self.read));
                return None;
            }
        }
    }

    /// False: the end, however it came about.
    async fn read_on(&mut self) -> bool {
        let Some(Ok(frame)) = self.body.frame().await else { return false };
        let Some(bytes) = frame.data_ref() else { return true };
        crate::logs::note(bytes);
        self.read.extend_from_slice(bytes);
        true
    }
}

fn parse(block: &str) -> Event {
    let lines: Vec<&str> = block.trim_end_matches('\n').split('\n').collect();
    match lines[..] {
        [":"] => Event::Comment,
        [event, data] => {
            let name = event.strip_prefix("event: ").unwrap_or_else(|| panic!("no event: {block:?}"));
            let data = data.strip_prefix("data:").unwrap_or_else(|| panic!("no data: {block:?}"));
            let data = match data.strip_prefix(' ') {
                Some(json) => serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {block:?}")),
                None => Json::Null,
            };
            Event::Named(name.to_owned(), data)
        }
        _ => panic!("not an event as we write it: {block:?}"),
    }
}
