//! Health: alive says that the process runs; ready says whether its parts answer, and names what does not.

use std::{sync::Arc, time::Duration};

use poem::{
    Response,
    http::{StatusCode, header},
};

use super::Edge;

/// How long a part may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn ready(edge: Arc<Edge>) -> Response {
    let database = async {
        match tokio::time::timeout(PATIENCE, edge.platform.db.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("did not answer in time".to_owned()),
        }
    };
    let storage = async {
        match tokio::time::timeout(PATIENCE, edge.platform.storage.ping()).await {
            Ok(asked) => asked.map_err(|error| format!("{error:?}")),
            Err(_) => Err("did not answer in time".to_owned()),
        }
    };
    let (database, storage, mail) = tokio::join!(database, storage, edge.platform.mailer.ping(PATIENCE));
    let stopping = if edge.stop.is_cancelled() { Err("the server is stopping".to_owned()) } else { Ok(()) };
    let bus =
        if edge.platform.bus.is_healthy() { Ok(()) } else { Err("hints of other instances are not heard".to_owned()) };
    let parts = [("database", database), ("storage", storage), ("bus", bus), ("mail", mail), ("server", stopping)];
    // A mail server or a storage that is away is waited for: what is for it is tried again. While the bus is away every
    // instance looks by itself. Everything else works.
    let ready = parts.iter().all(|(name, state)| state.is_ok() || matches!(*name, "mail" | "bus" | "storage"));
    let mut report = serde_json::Map::new();
    for (name, state) in parts {
        if let Err(cause) = &state {
            tracing::warn!(part = name, cause, "a part is not ready");
        }
        report.insert(name.to_owned(), if state.is_ok() { "ok" } else { "failing" }.into());
    }
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(serde_json::Value::Object(report).to_string())
}
