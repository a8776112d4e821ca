//! Documents that a client names instead of sending: trusted ones, known beforehand from a manifest, and automatic
//! persisted queries (Apollo's protocol), which the first one who asks brings along.
//! Promise: what is kept is bounded, by person too, and kept for who brought it alone; a name says which text runs and nothing else: it
//! is judged and paid like any other.

use std::{collections::HashMap, path::Path, sync::Arc};

use entity::UserId;
use moka::{policy::EvictionPolicy, sync::Cache};
use serde_json::Value as Json;

use super::{Asked, Refused};
use crate::platform::{
    config::{Config, Documents as Settings},
    secret::{hex, sha256},
    viewer::Caller,
};

/// Whose document, and its hash.
type Key = (Option<UserId>, [u8; 32]);

/// Where documents are found.
pub struct Documents {
    trusted: Trusted,
    /// Whether nothing else runs.
    trusted_only: bool,
    /// None: they are not taken.
    automatic: Option<Automatic>,
}

/// The documents of a manifest.
#[derive(Default)]
struct Trusted {
    by_id: HashMap<String, Arc<str>>,
    /// The hashes of all of them, for clients that send the whole text.
    hashes: HashMap<[u8; 32], Arc<str>>,
}

/// What people brought along, and apart from it what those brought who are not logged in: they cannot push out anything
/// of the others.
struct Automatic {
    people: Cache<Key, Arc<str>>,
    nobody: Cache<Key, Arc<str>>,
    /// What each person brought, oldest first: nobody turns over the room of all.
    brought: Cache<UserId, Arc<[[u8; 32]]>>,
    /// How many of them a person has at once.
    each: usize,
}

/// The document that is to run.
pub(super) struct Found {
    pub(super) text: Arc<str>,
    /// Where it is kept once it proved good. None: it is known, or not to be kept.
    pub(super) keep_as: Option<[u8; 32]>,
}

impl Documents {
    /// By the configuration.
    ///
    /// # Errors
    /// When TRUSTED_DOCUMENTS names no manifest; in words for an operator.
    pub fn from_config(config: &Config) -> Result<Self, String> {
        let settings = &config.documents;
        let trusted = settings.trusted.as_deref().map(Trusted::read).transpose()?;
        let automatic = (settings.automatic && !settings.trusted_only).then(|| Automatic::new(settings));
        Ok(Self { trusted: trusted.unwrap_or_default(), trusted_only: settings.trusted_only, automatic })
    }

    /// The document that a client asks for.
    ///
    /// # Errors
    /// When there is none by this name, or it may not run.
    pub(super) fn find(&self, asked: &Asked, caller: Caller) -> Result<Found, Refused> {
        let known = |text: &Arc<str>| Found { text: text.clone(), keep_as: None };
        if let Some(id) = &asked.document_id {
            let by_hash = || self.trusted.by_hash(id.strip_prefix("sha256:")?);
            let found = self.trusted.by_id.get(id).or_else(by_hash);
            return found.map(known).ok_or_else(|| not_found("There is no trusted document of this documentId."));
        }
        let hash = asked.persisted_hash()?;
        if let Some(trusted) = hash.and_then(|hash| self.trusted.by_hash(&hex(&hash))) {
            return Ok(known(trusted));
        }
        match (&asked.query, hash) {
            (Some(query), _) if self.trusted_only => {
                let trusted = self.trusted.hashes.get(&sha256(query.as_bytes())).map(known);
                trusted.ok_or_else(|| {
                    Refused::with(
                        "DOCUMENT_NOT_TRUSTED",
                        "Only trusted documents run here: name one by its documentId.",
                    )
                })
            }
            (Some(query), None) => Ok(Found { text: query.as_str().into(), keep_as: None }),
            (Some(query), Some(hash)) => {
                if sha256(query.as_bytes()) != hash {
                    return Err(Refused::bad_request("The sha256Hash is not that of the query."));
                }
                let keep_as = self.automatic.is_some().then_some(hash);
                Ok(Found { text: query.as_str().into(), keep_as })
            }
            // The message is part of Apollo's protocol: clients look for it.
            (None, Some(hash)) => match &self.automatic {
                Some(automatic) => {
                    automatic.get(caller, hash).as_ref().map(known).ok_or_else(|| not_found("PersistedQueryNotFound"))
                }
                None => Err(Refused::with("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")),
            },
            (None, None) => Err(Refused::bad_request("Give a GraphQL document as query.")),
        }
    }

    /// Keeps a document that proved good, for who brought it.
    pub(super) fn keep(&self, caller: Caller, hash: [u8; 32], text: Arc<str>) {
        if let Some(automatic) = &self.automatic {
            automatic.keep(caller, hash, text);
        }
    }
}

fn not_found(message: &str) -> Refused {
    Refused::with("PERSISTED_QUERY_NOT_FOUND", message)
}

fn key(caller: Caller, hash: [u8; 32]) -> Key {
    (caller.0.map(|viewer| viewer.user_id), hash)
}

impl Automatic {
    fn new(settings: &Settings) -> Self {
        let cache = || bounded(settings, str::len);
        Self {
            people: cache(),
            nobody: cache(),
            brought: bounded(settings, size_of_val::<[[u8; 32]]>),
            each: settings.automatic_each,
        }
    }

    fn keep(&self, caller: Caller, hash: [u8; 32], text: Arc<str>) {
        let kept = self.of(caller);
        kept.insert(key(caller, hash), text);
        if let Some(viewer) = caller.0 {
            for over in self.note(viewer.user_id, hash) {
                kept.invalidate(&(Some(viewer.user_id), over));
            }
        }
        // The library puts off what goes beyond the bound; there are few of these.
        kept.run_pending_tasks();
    }

    /// Notes who brought it. Gives what this person has too many of.
    fn note(&self, person: UserId, hash: [u8; 32]) -> Vec<[u8; 32]> {
        let mut over = Vec::new();
        self.brought.entry(person).and_upsert_with(|before| {
            let mut hashes = before.map(|before| before.into_value().to_vec()).unwrap_or_default();
            hashes.retain(|other| *other != hash);
            hashes.push(hash);
            over = hashes.drain(..hashes.len().saturating_sub(self.each)).collect();
            hashes.into()
        });
        over
    }

    fn of(&self, caller: Caller) -> &Cache<Key, Arc<str>> {
        if caller.0.is_some() { &self.people } else { &self.nobody }
    }

    fn get(&self, caller: Caller, hash: [u8; 32]) -> Option<Arc<str>> {
        let found = self.of(caller).get(&key(caller, hash));
        // Who uses what they brought is not forgotten either: else they could bring as much again.
        if let Some(viewer) = caller.0.filter(|_| found.is_some()) {
            self.brought.get(&viewer.user_id);
        }
        found
    }
}

/// A cache within the room for persisted queries; the size of a value is in bytes.
fn bounded<K, V>(settings: &Settings, size: fn(&V) -> usize) -> Cache<K, Arc<V>>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: ?Sized + Send + Sync + 'static,
{
    let weigh = move |_: &K, value: &Arc<V>| u32::try_from(size(value) + 100).unwrap_or(u32::MAX);
    let cache = Cache::builder().max_capacity(settings.automatic_bytes).weigher(weigh);
    cache.time_to_idle(settings.automatic_idle).eviction_policy(EvictionPolicy::lru()).build()
}

impl Trusted {
    /// By the hash in hexadecimal digits, whether or not the ids of the manifest are such hashes.
    fn by_hash(&self, digits: &str) -> Option<&Arc<str>> {
        self.by_id.get(digits).or_else(|| self.hashes.get(&parse_hash(digits)?))
    }

    /// Reads a manifest: an object of documents by id, or Apollo's `{ "operations": [{ "id", "body" }] }`.
    fn read(path: &Path) -> Result<Self, String> {
        let problem = |what: &str| format!("TRUSTED_DOCUMENTS {} {what}", path.display());
        let json = std::fs::read_to_string(path).map_err(|e| problem(&format!("cannot be read: {e}")))?;
        let json: Json = serde_json::from_str(&json).map_err(|e| problem(&format!("is not JSON: {e}")))?;
        let text = |value: &Json| value.as_str().map(Arc::<str>::from);
        let listed = json.get("operations").and_then(Json::as_array);
        let by_id: Option<HashMap<String, Arc<str>>> = match (&json, listed) {
            (_, Some(operations)) => {
                operations.iter().map(|it| Some((it.get("id")?.as_str()?.to_owned(), text(it.get("body")?)?))).collect()
            }
            (Json::Object(object), None) => object.iter().map(|(id, it)| Some((id.clone(), text(it)?))).collect(),
            _ => None,
        };
        let by_id =
            by_id.ok_or_else(|| problem("must hold { \"id\": \"document\" }, or Apollo's list of operations"))?;
        let hashes = by_id.values().map(|text| (sha256(text.as_bytes()), text.clone())).collect();
        Ok(Self { by_id, hashes })
    }
}

fn parse_hash(digits: &str) -> Option<[u8; 32]> {
    let digits =
        Some(digits.as_bytes()).filter(|digits| digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit))?;
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

impl Asked {
    /// Whether it says which document is to run.
    pub fn names_a_document(&self) -> bool {
        let persisted =
            |extensions: &serde_json::Map<_, Json>| extensions.get("persistedQuery").is_some_and(|it| !it.is_null());
        self.query.is_some() || self.document_id.is_some() || self.extensions.as_ref().is_some_and(persisted)
    }

    /// The hash by which it names a document.
    fn persisted_hash(&self) -> Result<Option<[u8; 32]>, Refused> {
        let Some(named) =
            self.extensions.as_ref().and_then(|extensions| extensions.get("persistedQuery")).filter(|it| !it.is_null())
        else {
            return Ok(None);
        };
        let wrong = || {
            Refused::bad_request(
                "persistedQuery must be { \"version\": 1, \"sha256Hash\": … }, with 64 hexadecimal digits.",
            )
        };
        if named.get("version").and_then(Json::as_u64) != Some(1) {
            return Err(wrong());
        }
        let hash = named.get("sha256Hash").and_then(Json::as_str).and_then(parse_hash).ok_or_else(wrong)?;
        Ok(Some(hash))
    }
}
