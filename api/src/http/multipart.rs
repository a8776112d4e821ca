//! GraphQL multipart requests (github.com/jaydenseric/graphql-multipart-request-spec): files that come along with an
//! operation.
//! Promise: who asks and what is asked is looked at before any file; files go to the disk as they come, never whole
//! into memory; a form of another site cannot send one, because it cannot send the header that is demanded.

use std::{collections::HashMap, io, sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use hyper::body::Bytes;
use multer::Field;
use poem::{
    Request,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::{Map, Value as Json};

use super::{
    Edge,
    asked::asked_of,
    graphql::{Stop, stop_for},
    pace::{Pace, drain, paced},
    parts::Parts,
    places::Holder,
};
use crate::{
    attachments::{Received, Uploads, may_upload},
    platform::{
        error::Fault,
        scalars::Upload,
        spool::{SpoolError, SpoolWriter},
        viewer::{Caller, Origin},
    },
    schema::{Asked, Ready, Refused},
};

/// Any of these shows that a page may send what it sends: a browser asks us first (CORS). The names are those that the
/// clients of the field send.
const PREFLIGHT: [&str; 3] = ["graphql-require-preflight", "apollo-require-preflight", "x-apollo-operation-name"];
/// For how long a refused body is read on.
const DRAIN: Duration = Duration::from_secs(5);

/// Whether a request is of this kind.
pub(super) fn is_multipart(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.trim_start().get(..19).is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data"))
}

/// Why a multipart request does not run.
pub(super) enum Stopped {
    /// The request itself.
    Request(Stop),
    /// The operation in it.
    Operation(Refused),
}

impl From<Stop> for Stopped {
    fn from(stop: Stop) -> Self {
        Self::Request(stop)
    }
}

/// Reads a request with its files.
pub(super) async fn prepare(
    edge: &Arc<Edge>,
    request: Request,
    caller: Caller,
    origin: Origin,
) -> Result<Ready, Stopped> {
    let viewer = caller.viewer().map_err(stop_for)?;
    if !PREFLIGHT.iter().any(|name| request.headers().contains_key(*name)) {
        let message = format!("Send the header {} with a multipart request.", PREFLIGHT[0]);
        return Err(Stop::new(StatusCode::BAD_REQUEST, message).into());
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
    let boundary =
        boundary.ok_or_else(|| Stop::new(StatusCode::BAD_REQUEST, "The multipart request has no boundary."))?;
    let most = edge.platform.config.storage.uploads_per_user;
    let _place = edge
        .uploads
        .take(Holder::Person(viewer.user_id), most)
        .ok_or_else(|| stop_for(Fault::RateLimited(Duration::from_secs(1))))?;
    let _slot = edge.upload_slots.try_acquire().map_err(|_| stop_for(Fault::RateLimited(Duration::from_secs(1))))?;
    may_upload(&edge.platform, viewer).await.map_err(stop_for)?;
    let (limits, storage) = (&edge.platform.config.limits, &edge.platform.config.storage);
    let pace = Pace { grace: limits.body_timeout, rate: storage.upload_rate };
    let mut body = paced(request.into_body(), pace);
    let outcome = read(edge, &mut body, boundary, caller, origin).await;
    if outcome.is_err() {
        drain(&mut body, storage.file_limit, DRAIN).await;
    }
    outcome
}

async fn read(
    edge: &Arc<Edge>,
    body: &mut BoxStream<'static, io::Result<Bytes>>,
    boundary: String,
    caller: Caller,
    origin: Origin,
) -> Result<Ready, Stopped> {
    let (limits, storage) = (&edge.platform.config.limits, &edge.platform.config.storage);
    let whole =
        storage.file_limit.saturating_mul(storage.files_per_request as u64).saturating_add(limits.body as u64 * 2);
    let mut parts = Parts::of(body, boundary, whole);
    let mut operations = match json_of(&mut parts, "operations", limits.body).await? {
        Json::Object(operations) => operations,
        Json::Array(_) => return Err(bad("Send one request at a time: batches are not taken.").into()),
        _ => return Err(bad("operations must be a JSON object with a query.").into()),
    };
    let map = match json_of(&mut parts, "map", limits.body).await? {
        Json::Object(map) => map,
        _ => return Err(bad("map must be a JSON object of lists of paths.").into()),
    };
    let names = place(&mut operations, &map, storage.files_per_request)?;
    let asked: Asked = asked_of(operations)?;
    let ready = edge.schema.prepare(asked, caller, origin).await.map_err(Stopped::Operation)?;
    let uploads = files(edge, &mut parts, names).await.map_err(|stop| stop.at(ready.bill()))?;
    Ok(ready.with(uploads))
}

fn bad(message: impl Into<String>) -> Stop {
    Stop::new(StatusCode::BAD_REQUEST, message)
}

/// The next part, which must be this one.
async fn json_of(parts: &mut Parts<'_>, name: &str, most: usize) -> Result<Json, Stop> {
    let part = parts.next().await?;
    let mut part = part
        .filter(|part| part.name() == Some(name))
        .ok_or_else(|| bad("Send operations first, then map, then the files."))?;
    let mut json = Vec::new();
    while let Some(piece) = parts.piece(&mut part).await? {
        json.extend_from_slice(&piece);
        if json.len() > most {
            let message = format!("{name} has at most {most} bytes.");
            return Err(Stop::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
    }
    serde_json::from_slice(&json).map_err(|_| bad(format!("{name} must be JSON.")))
}

/// Puts the mark of each file where the map says that it belongs. Gives the names of the parts with their numbers.
fn place(
    operations: &mut Map<String, Json>,
    map: &Map<String, Json>,
    most: usize,
) -> Result<HashMap<String, usize>, Stop> {
    let wrong = || bad("map must be a JSON object of lists of paths, like {\"0\": [\"variables.input.files.0\"]}.");
    let mut names = HashMap::with_capacity(map.len());
    let mut places = 0;
    for (index, (name, paths)) in map.iter().enumerate() {
        let paths = paths.as_array().filter(|paths| !paths.is_empty()).ok_or_else(wrong)?;
        places += paths.len();
        if places > most {
            return Err(bad(format!("Send at most {most} files in one request.")));
        }
        for path in paths {
            let path = path.as_str().ok_or_else(wrong)?;
            let place = find(operations, path).filter(|place| place.is_null()).ok_or_else(|| {
                bad("Each path of map must lead to a null in variables, like variables.input.files.0.")
            })?;
            *place = Json::String(Upload::mark(index));
        }
        names.insert(name.clone(), index);
    }
    Ok(names)
}

fn find<'a>(operations: &'a mut Map<String, Json>, path: &str) -> Option<&'a mut Json> {
    let mut steps = path.split('.');
    let mut at = operations.get_mut(steps.next().filter(|first| *first == "variables")?)?;
    for step in steps {
        at = match at {
            Json::Object(object) => object.get_mut(step)?,
            Json::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(at)
}

/// The files, in the order of the map.
async fn files(edge: &Edge, parts: &mut Parts<'_>, names: HashMap<String, usize>) -> Result<Uploads, Stop> {
    let mut found: Vec<Option<Received>> = vec![None; names.len()];
    while let Some(part) = parts.next().await? {
        let index = part.name().and_then(|name| names.get(name)).copied();
        let slot = index.and_then(|index| found.get_mut(index)).filter(|slot| slot.is_none());
        let slot = slot.ok_or_else(|| bad("There is a file that map does not name, or names once and comes twice."))?;
        *slot = Some(spool(edge, parts, part).await?);
    }
    let files: Option<Vec<Received>> = found.into_iter().collect();
    files.map(|files| Uploads(Arc::new(files))).ok_or_else(|| bad("A file that map names is missing."))
}

async fn spool<'b>(edge: &Edge, parts: &mut Parts<'b>, mut part: Field<'b>) -> Result<Received, Stop> {
    let (folder, most) = (&edge.platform.config.server.data_dir, edge.platform.config.storage.file_limit);
    let full = |error: io::Error| stop_for(Fault::Unavailable(format!("an upload cannot be written down: {error}")));
    let mut spool = SpoolWriter::new(folder, most).await.map_err(full)?;
    let name = part.file_name().unwrap_or_default().to_owned();
    let content_type = part.content_type().map(ToString::to_string).unwrap_or_default();
    while let Some(piece) = parts.piece(&mut part).await? {
        spool.write(&piece).await.map_err(|error| match error {
            SpoolError::TooLong => {
                Stop::new(StatusCode::PAYLOAD_TOO_LARGE, format!("A file has at most {most} bytes."))
            }
            SpoolError::Io(error) => full(error),
        })?;
    }
    Ok(Received { name, content_type, spool: spool.finish().await.map_err(full)? })
}
