//! The way of our own code to the store: aws-sdk-s3 without a socket.
//! Promise: a request goes through the same checks of its signature as one from outside.

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use hyper::header::{HOST, HeaderValue};
use s3s::service::S3Service;

/// Hands the requests of the SDK to the service.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) S3Service);

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.0.clone();
        HttpConnectorFuture::new(async move { answer(&service, request).await })
    }
}

async fn answer(service: &S3Service, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let mut request = request.try_into_http1x().map_err(|e| ConnectorError::user(e.into()))?;
    // Over a socket the client adds it. It is signed, and without a port that goes without saying.
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
    {
        let standard = if request.uri().scheme_str() == Some("https") { 443 } else { 80 };
        let host = match authority.port_u16() {
            Some(port) if port != standard => authority.as_str(),
            _ => authority.host(),
        };
        let host = HeaderValue::from_str(host).map_err(|e| ConnectorError::user(e.into()))?;
        request.headers_mut().insert(HOST, host);
    }
    match service.call(request.map(s3s::Body::http_body)).await {
        Ok(answer) => answer.map(SdkBody::from_body_1_x).try_into().map_err(|e: _| other(Box::new(e))),
        Err(cause) => Err(other(cause.into())),
    }
}

fn other(cause: s3s::StdError) -> ConnectorError {
    ConnectorError::other(cause, None)
}
