//! GraphQL over WebSocket: the protocol `graphql-transport-ws`, with its close codes to the letter.
//! Promise: a socket costs little while it is quiet, lasts no longer than the session behind it, and a reader that is
//! too slow loses its socket, not its place: every event carries the cursor to go on from.

use std::{sync::Arc, time::Duration};

use entity::SessionId;
use futures_util::{SinkExt, StreamExt};
use poem::{
    FromRequest, IntoResponse, Request, RequestBody, Response,
    http::{StatusCode, header},
    web::websocket::{CloseCode, Message, WebSocket, WebSocketConfig, WebSocketStream},
};
use serde_json::{Map, Value as Json};
use tokio::{
    sync::broadcast,
    time::{Instant as Tick, sleep_until, timeout},
};
use tracing::Instrument;

use super::{
    Edge,
    answer::{self, Voice},
    caller::{self, Credential},
    edge::RequestId,
    metrics,
    operations::{Operations, Step, answers},
    places::{Holder, Place},
    protocol::{Close, PROTOCOL, envelope, has_object, offers_protocol, subscribe},
    watch::{self, Over},
};
use crate::{
    platform::{
        clock::Instant,
        error::Fault,
        viewer::{Caller, Origin, Viewer},
    },
    schema::{Asked, Refused},
};

/// Bytes that a quiet socket keeps for reading, enough for what clients of subscriptions say; it grows with a longer
/// message. The library's own default is 128 KiB.
const READ_BUFFER: usize = 1_024;
/// How long the other end may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Takes a WebSocket. A browser page of an origin that is not allowed is refused at the handshake.
pub(super) async fn accept(edge: Arc<Edge>, request: Request) -> Response {
    if !caller::origin_is_allowed(&edge, &request) {
        return super::text(StatusCode::FORBIDDEN, "This origin may not open sockets: see ALLOWED_ORIGINS.");
    }
    let offered = offers_protocol(request.headers());
    // A refresh cookie that is read once and used much later could be taken for a stolen one.
    let origin = Origin { refresh_cookie: None, ..caller::origin(&edge, &request, false) };
    let place = edge.sockets.take(Holder::Arriving(origin.network()), edge.platform.config.sockets.per_address);
    if place.is_none() {
        let message = "Too many sockets come from this address at once; try again in a moment.";
        return super::text(StatusCode::TOO_MANY_REQUESTS, message)
            .with_header(header::RETRY_AFTER, "1")
            .into_response();
    }
    let opening = Opening {
        origin,
        place,
        credential: caller::credential(&edge, &request),
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
    };
    let Ok(slot) = edge.socket_slots.clone().try_acquire_owned() else {
        return super::text(StatusCode::SERVICE_UNAVAILABLE, "Too many sockets are open; try again in a moment.");
    };
    let open = edge.open_sockets.token();
    let span = tracing::Span::current();
    let socket = match WebSocket::from_request(&request, &mut RequestBody::default()).await {
        Ok(socket) => socket,
        Err(error) => return error.into_response(),
    };
    let limit = edge.platform.config.sockets.message;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    socket
        .protocols([PROTOCOL])
        .config(config)
        .on_upgrade(move |stream| {
            let serve = async move {
                let _held = (slot, open, edge.platform.metrics.open("websocket"));
                let mut connection = Connection { edge, stream, operations: Operations::default() };
                let close = if offered {
                    connection.serve(opening).await
                } else {
                    Some(Close(4406, "Subprotocol not acceptable"))
                };
                connection.end(close).await;
            };
            serve.instrument(span)
        })
        .into_response()
}

/// What the handshake told.
struct Opening {
    origin: Origin,
    /// The place that the socket has: one of those who arrive, then one of whoever it turned out to be.
    place: Option<Place>,
    credential: Credential,
    request_id: String,
}

struct Connection {
    edge: Arc<Edge>,
    stream: WebSocketStream,
    operations: Operations,
}

impl Connection {
    /// Serves until the socket is to be closed. None: the client is gone.
    async fn serve(&mut self, mut opening: Opening) -> Option<Close> {
        let limits = self.edge.platform.config.sockets.clone();
        let (payload, early) = match timeout(limits.init_timeout, self.first_message()).await {
            Err(_) => return Some(Close(4408, "Connection initialisation timeout")),
            Ok(first) => first?,
        };
        if let Some(close) = early {
            return Some(close);
        }
        // First listen, then look: a session that ends in between is heard of.
        let ended = self.edge.platform.bus.ended_sessions();
        // What happens seldom has room of its own while it happens: a quiet socket does not keep it.
        let shown = std::mem::replace(&mut opening.credential, Credential::None);
        let identified = match Box::pin(identify(&self.edge.clone(), payload, shown)).await {
            Ok(identified) => identified,
            Err(close) => return Some(close),
        };
        let (holder, most) = match identified {
            Some((viewer, _)) => (Holder::Person(viewer.user_id), limits.per_user),
            None => (Holder::Network(opening.origin.network()), limits.per_address),
        };
        opening.place = self.edge.sockets.take(holder, most);
        if opening.place.is_none() {
            return Some(Close(1013, "Too many sockets are open"));
        }
        if !self.send(Message::text(r#"{"type":"connection_ack"}"#)).await {
            return None;
        }
        self.follow(identified, opening, ended, limits.ping).await
    }

    /// The main loop: what the client says, what operations answer, and what ends the socket.
    async fn follow(
        &mut self,
        identified: Option<(Viewer, Instant)>,
        opening: Opening,
        ended: broadcast::Receiver<Option<SessionId>>,
        ping_every: Duration,
    ) -> Option<Close> {
        let edge = self.edge.clone();
        let over = watch::over(&edge, identified, ended);
        tokio::pin!(over);
        let mut next_ping = Tick::now() + ping_every;
        let mut heard = true;
        loop {
            tokio::select! {
                biased;
                over = &mut over => return Some(match over {
                    Over::Stopping => Close(1001, "Going away"),
                    Over::Expired => Close(4403, "Forbidden: the session's token has expired"),
                    Over::Ended => Close(4403, "Forbidden: the session has ended"),
                }),
                message = self.stream.next() => {
                    heard = true;
                    let caller = Caller(identified.map(|(viewer, _)| viewer));
                    if let Some(end) = Box::pin(self.hear(message, caller, &opening)).await {
                        return end;
                    }
                }
                step = self.operations.next() => {
                    if watch::has_ended_unheard(&edge, identified.map(|(viewer, _)| viewer)).await {
                        return Some(Close(4403, "Forbidden: the session has ended"));
                    }
                    if !self.tell(step, &opening.request_id).await {
                        return None;
                    }
                }
                () = sleep_until(next_ping) => {
                    // Nothing since the last ping, not even its pong: the other end is gone.
                    if !std::mem::take(&mut heard) {
                        return Some(Close(1001, "No answer to a ping"));
                    }
                    next_ping = Tick::now() + ping_every;
                    if !self.send(Message::Ping(Vec::new())).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Waits for `connection_init`. Gives back its payload, or why the socket closes; None: the client is gone.
    async fn first_message(&mut self) -> Option<(Option<Map<String, Json>>, Option<Close>)> {
        loop {
            let message = self.stream.next().await;
            let mut parsed = match self.parse(message).await {
                Ok(parsed) => parsed,
                Err(end) => return end.map(|close| (None, Some(close))),
            };
            let close = match parsed.remove("type") {
                Some(Json::String(kind)) if kind == "connection_init" => match parsed.remove("payload") {
                    None | Some(Json::Null) => return Some((None, None)),
                    Some(Json::Object(payload)) => return Some((Some(payload), None)),
                    Some(_) => Close(4400, "Invalid message: the payload must be an object"),
                },
                Some(Json::String(kind)) if kind == "ping" && has_object(&parsed) => {
                    self.pong(&parsed).await;
                    continue;
                }
                Some(Json::String(kind)) if kind == "pong" && has_object(&parsed) => continue,
                Some(Json::String(kind)) if kind == "subscribe" => Close(4401, "Unauthorized"),
                _ => Close(4400, "Invalid message: the type is unknown"),
            };
            return Some((None, Some(close)));
        }
    }

    /// A text message as an object. Err(None): the client is gone.
    async fn parse(&mut self, message: Option<std::io::Result<Message>>) -> Result<Map<String, Json>, Option<Close>> {
        let mut message = message;
        loop {
            match message {
                Some(Ok(Message::Text(text))) => {
                    return match serde_json::from_str(&text) {
                        Ok(Json::Object(object)) => Ok(object),
                        _ => Err(Some(Close(4400, "Invalid message: not a JSON object"))),
                    };
                }
                Some(Ok(Message::Binary(_))) => return Err(Some(Close(4400, "Invalid message: not text"))),
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => message = self.stream.next().await,
                Some(Ok(Message::Close(_))) | None => return Err(None),
                Some(Err(error)) if error.to_string().contains("too long") => {
                    return Err(Some(Close(1009, "Message too large")));
                }
                Some(Err(_)) => return Err(None),
            }
        }
    }

    /// Answers a message. Some: the socket ends.
    async fn hear(
        &mut self,
        message: Option<std::io::Result<Message>>,
        caller: Caller,
        opening: &Opening,
    ) -> Option<Option<Close>> {
        // A pong is only a sign of life; waiting for the next message here would hold everything else up.
        if let Some(Ok(Message::Ping(_) | Message::Pong(_))) = message {
            return None;
        }
        let mut parsed = match self.parse(message).await {
            Ok(parsed) => parsed,
            Err(end) => return Some(end),
        };
        let kind = parsed.remove("type");
        match kind.as_ref().and_then(Json::as_str) {
            Some("subscribe") => match subscribe(parsed) {
                Ok((id, _)) if self.operations.has(&id) => {
                    Some(Some(Close(4409, "Subscriber for this id already exists")))
                }
                Ok((id, asked)) => (!self.start(id, asked, caller, opening).await).then_some(None),
                Err(close) => Some(Some(close)),
            },
            Some("complete") => match parsed.get("id").and_then(Json::as_str) {
                Some(id) if !id.is_empty() => {
                    self.operations.stop(id);
                    None
                }
                _ => Some(Some(Close(4400, "Invalid message: complete needs an id"))),
            },
            Some("ping" | "pong") if !has_object(&parsed) => {
                Some(Some(Close(4400, "Invalid message: the payload must be an object")))
            }
            Some("ping") => (!self.pong(&parsed).await).then_some(None),
            Some("pong") => None,
            Some("connection_init") => Some(Some(Close(4429, "Too many initialisation requests"))),
            _ => Some(Some(Close(4400, "Invalid message: the type is unknown"))),
        }
    }

    /// Begins an operation, or tells why not. False: the client is gone.
    async fn start(&mut self, id: String, asked: Asked, caller: Caller, opening: &Opening) -> bool {
        let limit = self.edge.platform.config.sockets.subscriptions;
        if self.operations.count() >= limit {
            let refused = Refused::bad_request(format!("A socket runs at most {limit} operations at once."));
            return self.refuse(&id, refused, &opening.request_id).await;
        }
        // A session that ended where we do not hear of it does nothing more here.
        if let Some(viewer) = caller.0
            && !self.edge.accounts.is_alive(viewer).await.unwrap_or(true)
        {
            return self.refuse(&id, Refused::unauthenticated(), &opening.request_id).await;
        }
        let ready = match self.edge.schema.prepare(asked, caller, opening.origin.clone()).await {
            Ok(ready) => ready,
            Err(refused) => return self.refuse(&id, refused, &opening.request_id).await,
        };
        tracing::info!(operation = ready.operation_name, kind = %ready.operation, "socket operation");
        self.operations.start(id, answers(&self.edge, ready, caller.0.is_some()));
        true
    }

    /// Sends what came of an operation. False: the client is gone.
    async fn tell(&mut self, step: Step, request_id: &str) -> bool {
        let voice = Voice { request_id, most_errors: self.edge.platform.config.limits.errors };
        let message = match step {
            Step::Answer(id, answer) => envelope(Some(&id), "next", &answer::executed(&answer, voice)),
            Step::End(id) => envelope(Some(&id), "complete", &[]),
        };
        self.send(message).await
    }

    async fn refuse(&mut self, id: &str, refused: Refused, request_id: &str) -> bool {
        let voice = Voice { request_id, most_errors: self.edge.platform.config.limits.errors };
        metrics::refused(&self.edge, &refused.errors);
        let errors = answer::error_list(&refused.errors, voice);
        self.send(envelope(Some(id), "error", &errors)).await
    }

    async fn pong(&mut self, ping: &Map<String, Json>) -> bool {
        let payload = ping.get("payload").filter(|payload| payload.is_object());
        let payload = payload.map(Json::to_string).unwrap_or_default();
        self.send(envelope(None, "pong", payload.as_bytes())).await
    }

    /// Closes, or answers the close of the client, and waits a moment for the other end to have heard it.
    async fn end(&mut self, close: Option<Close>) {
        self.operations.clear();
        if let Some(Close(code, reason)) = close {
            self.send(Message::close_with(CloseCode::from(code), reason)).await;
        }
        // The library queues the answer to a close and sends it when it is polled again; and a socket that is dropped
        // with unread bytes is reset, so that the client may never see the code.
        let heard = async { while matches!(self.stream.next().await, Some(Ok(_))) {} };
        let _ = timeout(FAREWELL, heard).await;
        let _ = timeout(FAREWELL, self.stream.close()).await;
    }

    /// Sends within the time that a slow reader has. False: the client is gone, or too slow.
    async fn send(&mut self, message: Message) -> bool {
        let patience = self.edge.platform.config.sockets.write_timeout;
        matches!(timeout(patience, self.stream.send(message)).await, Ok(Ok(())))
    }
}

/// Who opens a socket, by the token of `connection_init` or else by the cookie.
async fn identify(
    edge: &Edge,
    payload: Option<Map<String, Json>>,
    shown: Credential,
) -> Result<Option<(Viewer, Instant)>, Close> {
    let named = |name: &str| name.eq_ignore_ascii_case("authorization");
    let given = payload.and_then(|payload| payload.into_iter().find(|(name, _)| named(name)));
    let credential = match given {
        Some((_, Json::String(value))) => Credential::Bearer(caller::bearer(&value).unwrap_or(&value).to_owned()),
        Some(_) => return Err(Close(4400, "Invalid message: authorization must be a string")),
        // A browser cannot set headers of a handshake; another client that did so is taken at its word.
        None => shown,
    };
    match caller::identify(edge, credential).await {
        Ok(identified) => Ok(identified.map(|identified| (identified.viewer, identified.until))),
        Err(Fault::Unauthenticated) => Err(Close(4403, "Forbidden")),
        Err(fault) => {
            tracing::error!(?fault, "a socket's caller cannot be identified");
            Err(Close(1011, "Internal error"))
        }
    }
}
