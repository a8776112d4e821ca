//! An HTTP client as plain as the protocol.

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Bytes, Incoming},
};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioExecutor};
use serde_json::{Value as Json, json};

use crate::{Events, until};

/// How people here register: for cases that say which documents may run.
pub const REGISTER: &str = "mutation($input: AccountRegisterInput!) {
    accountRegister(input: $input) { registration { id } userErrors { code message path } } }";
/// The same with the code from their mail.
pub const VERIFY: &str = "mutation($input: AccountVerifyEmailInput!) {
    accountVerifyEmail(input: $input) { user { id } tokens { accessToken } userErrors { code message } } }";

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// For the server at this address, like `http://127.0.0.1:8000`.
    pub fn new(base: impl Into<String>) -> Self {
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { base: base.into(), http }
    }

    /// Sends a request.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.try_send(method, path, headers, body).await.expect("the server answers")
    }

    /// Sends a request to a server that may be gone.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let response = self.request(method, path, headers, body).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        crate::logs::note(&body);
        for cookie in parts.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            crate::logs::note_header("cookie", cookie);
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Sends a request whose answer is read event by event.
    pub async fn events(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Events {
        let response = self.request(method, path, headers, body).await.expect("the server answers");
        let (parts, body) = response.into_parts();
        Events::new(parts.status, parts.headers, body)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<hyper::Response<Incoming>, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            crate::logs::note_header(name, value);
            request = request.header(*name, *value);
        }
        let body = body.into();
        crate::logs::note(&body);
        let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
        self.http.request(request).await.map_err(|e| e.to_string())
    }

    /// Gets a page.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    /// Sends a GraphQL request, with a token or without, and gives back the whole answer.
    pub async fn graphql(&self, token: Option<&str>, query: &str, variables: Json) -> Json {
        self.try_graphql(token, query, variables).await.expect("the server answers")
    }

    /// Sends a GraphQL request as it is and gives back the answer as it comes: for clocks, which are to measure the server
    /// and not what is looked for in an answer here.
    pub async fn graphql_bare(&self, token: &str, body: String) -> Bytes {
        let request = Request::post(format!("{}/graphql", self.base))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let answer = self.http.request(request).await.expect("the server answers");
        answer.into_body().collect().await.expect("an answer").to_bytes()
    }

    /// Registers somebody by the front door, with the code from the development mailbox.
    pub async fn register(&self, name: &str) -> Person {
        let email = format!("{}@example.org", name.to_lowercase());
        let input = json!({ "name": name, "email": email, "password": "correct horse battery" });
        let answer = self.graphql(None, REGISTER, json!({ "input": input })).await;
        let registration = text(&answer, "/data/accountRegister/registration/id");
        let code = until("the code", || async {
            let mails = self.get(&format!("/dev/mailbox?to={email}")).await.json();
            mails[0]["text"].as_str().map(code_in)
        })
        .await;
        let input = json!({ "registrationId": registration, "code": code, "transport": "TOKENS" });
        let answer = self.graphql(None, VERIFY, json!({ "input": input })).await;
        Person {
            id: text(&answer, "/data/accountVerifyEmail/user/id"),
            token: text(&answer, "/data/accountVerifyEmail/tokens/accessToken"),
            email,
        }
    }

    /// Registers somebody with a task: their token, and its id.
    pub async fn register_with_task(&self, name: &str) -> (String, String) {
        let token = self.register(name).await.token;
        let create = "mutation { taskCreate(input: { title: \"Survive\" }) { task { id } } }";
        let task = text(&self.graphql(Some(&token), create, json!({})).await, "/data/taskCreate/task/id");
        (token, task)
    }

    /// The same to a server that may be gone.
    pub async fn try_graphql(&self, token: Option<&str>, query: &str, variables: Json) -> Result<Json, String> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/graphql-response+json")];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        let answer = self.try_send(Method::POST, "/graphql", &headers, body).await?;
        serde_json::from_slice(&answer.body).map_err(|e| format!("{e}: {}", answer.text()))
    }
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub token: String,
}

/// A text at a place of an answer.
pub fn text(answer: &Json, pointer: &str) -> String {
    let found = answer.pointer(pointer).and_then(Json::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer}: {answer}")).to_owned()
}

/// The six digits of a mail.
pub fn code_in(mail: &str) -> String {
    let digits: Vec<&str> = mail.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() == 6).collect();
    let code = digits.first().unwrap_or_else(|| panic!("no code in {mail}")).to_string();
    crate::logs::note_code(&code);
    code
}
