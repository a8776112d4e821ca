//! The way of browsers to the store in the process, by presigned URLs. With an S3 there is none.

use std::{io, sync::Arc};

use futures_util::StreamExt;
use http_body_util::{Empty, StreamBody};
use hyper::body::{Bytes, Frame};
use poem::{
    Request, Response,
    http::{self, Method, StatusCode},
};

use super::{
    Edge,
    pace::{Pace, paced},
};

/// Serves `/{bucket}/…` as an S3 does.
pub(super) async fn serve(edge: Arc<Edge>, request: Request) -> Response {
    let Some((store, _)) = edge.platform.storage.embedded() else {
        return super::text(StatusCode::NOT_FOUND, "Not Found");
    };
    let uri = request.original_uri().clone();
    let (parts, body) = request.into_parts();
    let mut asked = http::Request::new(());
    *asked.method_mut() = parts.method;
    *asked.version_mut() = parts.version;
    *asked.headers_mut() = parts.headers;
    *asked.uri_mut() = uri;
    if !matches!(*asked.method(), Method::PUT | Method::POST) {
        return store.serve(asked.map(|()| Empty::<Bytes>::new())).await.into();
    }
    let config = &edge.platform.config;
    let pace = Pace { grace: config.limits.body_timeout, rate: config.storage.upload_rate };
    let body = StreamBody::new(paced(body, pace).map(|piece: io::Result<_>| piece.map(Frame::data)));
    store.serve(asked.map(|()| body)).await.into()
}
