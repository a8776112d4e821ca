//! A client of `graphql-transport-ws`, message by message.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, handshake::client::Request, protocol::CloseFrame},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open socket. While nobody waits for its next message nothing is read, and no ping is answered.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one that has said nothing yet.
    pub async fn open(port: u16) -> Self {
        Self::open_with(port, &[]).await.expect("the socket opens")
    }

    /// Opens one with headers; gives back the status when it is refused.
    pub async fn open_with(port: u16, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = handshake(port);
        for (name, value) in headers {
            crate::logs::note_header(name, value);
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens one whose end keeps little that nobody reads, so that it is soon full.
    pub async fn open_narrow(port: u16) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("set");
        let stream = MaybeTlsStream::Plain(socket.connect(([127, 0, 0, 1], port).into()).await.expect("connected"));
        let (stream, _) = tokio_tungstenite::client_async(handshake(port), stream).await.expect("the socket opens");
        Self(stream)
    }

    /// Says who it is from, by an access token.
    pub async fn join(&mut self, token: &str) {
        let payload = json!({ "authorization": format!("Bearer {token}") });
        self.send(json!({ "type": "connection_init", "payload": payload })).await;
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Json) {
        let text = message.to_string();
        crate::logs::note(text.as_bytes());
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// Sends several messages in one piece.
    pub async fn send_together(&mut self, messages: impl IntoIterator<Item = Json>) {
        for message in messages {
            let text = message.to_string();
            crate::logs::note(text.as_bytes());
            self.0.feed(Message::text(text)).await.expect("taken");
        }
        self.0.flush().await.expect("sent");
    }

    /// Begins an operation.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Json) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// The next message.
    pub async fn next(&mut self) -> Json {
        match tokio::time::timeout(PATIENCE, self.frame()).await.expect("a message in time") {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("not a text message: {other:?}"),
        }
    }

    /// The next message, or nothing when the server closes instead.
    pub async fn next_or_close(&mut self) -> Option<Json> {
        match self.frame().await {
            Message::Text(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
    }

    /// Whether nothing comes for this long.
    pub async fn is_quiet_for(&mut self, duration: Duration) -> bool {
        tokio::time::timeout(duration, self.frame()).await.is_err()
    }

    /// The code with which the server closes.
    pub async fn close_code(&mut self) -> u16 {
        self.farewell().await.0
    }

    /// The code with which the server closes, and its reason.
    pub async fn farewell(&mut self) -> (u16, String) {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a close in time") {
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return (code.into(), reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }

    async fn frame(&mut self) -> Message {
        loop {
            match self.0.next().await.expect("the socket is open").expect("a frame") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }
}

/// The request that opens a socket.
fn handshake(port: u16) -> Request {
    let mut request = format!("ws://127.0.0.1:{port}/graphql").into_client_request().expect("an address");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a value"));
    request
}
