//! What these tests share.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use spacedly::platform::push::{Pusher, Settings};
pub(crate) use support::{Json, process::Script};

/// Keys of a browser: the receiver's of RFC 8291 appendix A.
pub(crate) const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
pub(crate) const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

pub(crate) fn settings(allow_private: bool) -> Settings {
    Settings {
        vapid_private_key: None,
        vapid_subject: "mailto:operator@example.org".into(),
        timeout: Duration::from_secs(3),
        time_to_live: Duration::from_secs(86_400),
        allow_private,
        key_material: [7; 32],
    }
}

pub(crate) fn pusher(allow_private: bool) -> Pusher {
    Pusher::new(settings(allow_private)).expect("a pusher")
}

/// Names and the addresses that they are said to have, look-up after look-up; the last for ever.
#[derive(Clone, Default)]
pub(crate) struct Names {
    pub(crate) known: Arc<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.known.get(name.as_str()).map(|found| found[asked.min(found.len() - 1)].clone());
        Box::pin(async move {
            let found = found.ok_or("no such name")?;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

pub(crate) async fn get(url: &str) -> Json {
    let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn text<'j>(json: &'j Json, pointer: &str) -> &'j str {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_else(|| panic!("no {pointer} in {json}"))
}

/// Takes connections on every address of this machine, IPv4 and IPv6, and counts them.
pub(crate) struct Trap {
    pub(crate) port: u16,
    connected: Arc<AtomicUsize>,
}

impl Trap {
    pub(crate) fn set() -> Self {
        let listener = TcpListener::bind("[::]:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let connected = Arc::new(AtomicUsize::new(0));
        let counter = connected.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, connected }
    }

    /// How many connected, once whatever was under way has come.
    pub(crate) async fn connected(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.connected.load(Ordering::SeqCst)
    }
}
