//! Every way in: the same request by each of them.
//! Promise: what one of them is told is what it would be told alone; each is waited for to its end.

use hyper::{Method, StatusCode};
use support::{
    Answer, Events, Json, Person, Server, Socket, json,
    uploads::{multipart, post},
};
use url::form_urlencoded;

use crate::sse::Single;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Post,
    Get,
    EventStream,
    Socket,
    Multipart,
    ReservedPost,
    ReservedGet,
}

/// All of them.
pub(crate) const WAYS: [Way; 7] =
    [Way::Post, Way::Get, Way::EventStream, Way::Socket, Way::Multipart, Way::ReservedPost, Way::ReservedGet];

impl Way {
    /// Whether nothing may be changed by it.
    pub(crate) fn only_reads(self) -> bool {
        match self {
            Self::Get | Self::ReservedGet => true,
            Self::Post | Self::EventStream | Self::Socket | Self::Multipart | Self::ReservedPost => false,
        }
    }
}

/// What a request was answered with.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) way: Way,
    /// None: a message on a socket has none.
    pub(crate) status: Option<StatusCode>,
    /// As GraphQL has it: `data`, `errors`, `extensions`.
    pub(crate) answer: Json,
}

impl Told {
    fn of(way: Way, answer: &Answer) -> Self {
        Self { way, status: Some(answer.status), answer: answer.json() }
    }

    /// The code of the first error. None: there is no error.
    pub(crate) fn code(&self) -> Option<&str> {
        let error = self.answer.get("errors").map(|errors| &errors[0]);
        error.map(|error| error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")))
    }

    /// How many errors are told.
    pub(crate) fn errors(&self) -> usize {
        self.answer.get("errors").map_or(0, |errors| errors.as_array().expect("a list").len())
    }

    /// What it ran to, where nothing went wrong.
    pub(crate) fn data(&self) -> Option<&Json> {
        self.answer.get("data").filter(|_| self.answer.get("errors").is_none())
    }
}

/// Somebody who goes by all of them.
pub(crate) struct Ways<'s> {
    server: &'s Server,
    /// Files and reserved streams are for people, and so all are asked by one.
    pub(crate) ada: Person,
    bearer: String,
    single: Single<'s>,
    events: Events,
    socket: Socket,
    /// How many operations there were: each has an id of its own.
    asked: usize,
}

impl<'s> Ways<'s> {
    pub(crate) async fn of(server: &'s Server) -> Self {
        let ada = server.person("Ada").await;
        let single = Single::reserve(server, &ada).await;
        let (events, socket) = (single.opened().await, server.socket(Some(&ada)).await);
        let bearer = format!("Bearer {}", ada.token);
        Self { server, ada, bearer, single, events, socket, asked: 0 }
    }

    /// By each: what a document alone is answered with.
    pub(crate) async fn told_of(&mut self, query: &str) -> Vec<Told> {
        self.all(&json!({ "query": query })).await
    }

    /// By each: what a request is answered with.
    pub(crate) async fn all(&mut self, asked: &Json) -> Vec<Told> {
        let mut told = Vec::new();
        for way in WAYS {
            told.push(self.by(way, asked).await);
        }
        told
    }

    /// By one: what a request is answered with.
    pub(crate) async fn by(&mut self, way: Way, asked: &Json) -> Told {
        self.asked += 1;
        let id = format!("{way:?} {}", self.asked);
        let client = &self.server.client;
        let authorization = ("authorization", self.bearer.as_str());
        let accept = ("accept", "application/graphql-response+json");
        let sent = [("content-type", "application/json"), authorization, accept];
        let answer = match way {
            Way::Post => client.send(Method::POST, "/graphql", &sent, asked.to_string()).await,
            Way::Get => {
                client.send(Method::GET, &format!("/graphql?{}", in_url(asked)), &[authorization, accept], "").await
            }
            Way::Multipart => {
                let form = multipart(asked, &json!({}), &[]);
                post(self.server, &self.ada, &[("graphql-require-preflight", "1"), accept], form).await
            }
            Way::EventStream => return self.by_event_stream(asked).await,
            Way::Socket => return self.by_socket(&id, asked).await,
            Way::ReservedPost => self.single.post(json!(id), asked).await,
            Way::ReservedGet => self.single.get(&id, asked).await,
        };
        // What is refused is told at once, what runs on the reserved stream.
        if answer.status != StatusCode::ACCEPTED {
            return Told::of(way, &answer);
        }
        let mut next = self.events.expect("next").await;
        assert_eq!((&next["id"], self.events.expect("complete").await), (&json!(id), json!({ "id": id })));
        Told { way, status: Some(answer.status), answer: next["payload"].take() }
    }

    async fn by_event_stream(&self, asked: &Json) -> Told {
        let headers = [
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("authorization", self.bearer.as_str()),
        ];
        let mut events = self.server.client.events(Method::POST, "/graphql", &headers, asked.to_string()).await;
        assert_eq!(events.header("content-type"), "text/event-stream; charset=utf-8", "{}", events.status);
        let answer = events.expect("next").await;
        events.expect("complete").await;
        events.ends().await;
        Told { way: Way::EventStream, status: Some(events.status), answer }
    }

    async fn by_socket(&mut self, id: &str, asked: &Json) -> Told {
        self.socket.send(json!({ "id": id, "type": "subscribe", "payload": asked })).await;
        let mut message = self.socket.next().await;
        assert_eq!(message["id"], id, "{message}");
        let payload = message["payload"].take();
        let answer = match message["type"].as_str() {
            Some("next") => {
                assert_eq!(self.socket.next().await, json!({ "id": id, "type": "complete" }));
                payload
            }
            Some("error") => json!({ "errors": payload }),
            _ => panic!("neither an answer nor a refusal: {message} {payload}"),
        };
        Told { way: Way::Socket, status: None, answer }
    }
}

/// A request as the parameters of a URL.
pub(crate) fn in_url(asked: &Json) -> String {
    let mut url = form_urlencoded::Serializer::new(String::new());
    for (name, value) in asked.as_object().expect("an object") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        url.append_pair(name, &value);
    }
    url.finish()
}
