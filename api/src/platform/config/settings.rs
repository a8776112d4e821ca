//! Every setting with its meaning and its default, in sections. What is here is the reference; `mod.rs` reads it.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    declare::{Setting, SettingsOf},
    read,
};
use crate::platform::crash::CrashAt;

/// Where the program runs, and so how strict it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine: everything embedded, details in errors.
    Development,
    /// For people: refuses to start with anything unsafe.
    Production,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object a line.
    Json,
}

settings! {
    /// Where it listens and how it is reached.
    server: Server {
        /// `development` or `production`. Production refuses to start with anything unsafe.
        ENVIRONMENT => environment: Environment = "development";
        /// The address to listen on.
        HOST => host: String = "127.0.0.1";
        /// The port to listen on; 0 takes a free one.
        PORT => port: u16 = "8000";
        /// The port at which `spacedly worker` answers /health and /metrics; 0 takes a free one. Empty: it listens nowhere. (The image sets 8000. `spacedly serve` does not read it.)
        WORKER_PORT => worker_port: Option<u16> = "";
        /// Where the embedded database, mailbox and generated secret lie.
        DATA_DIR => data_dir: PathBuf = "./data";
        /// The API's address as clients see it. Empty: http://HOST:PORT.
        PUBLIC_URL => public_url: Option<String> = "";
        /// The front end's address: links in mails lead there.
        FRONTEND_URL => frontend_url: String = "http://localhost:8080";
        /// Origins of browsers that may call the API with cookies, separated by commas. Empty: FRONTEND_URL.
        ALLOWED_ORIGINS => allowed_origins: Vec<String> = "";
        /// How many proxies stand in front: so many of the last entries of X-Forwarded-For are believed.
        TRUSTED_PROXIES => trusted_proxies: usize = "0";
        /// Whether GraphiQL is served at `/`. Empty: in development only.
        GRAPHIQL => graphiql: Option<bool> = "";
    }
    /// The database.
    database: Database {
        /// `sqlite://…` or `postgres://…`. Empty: SQLite in DATA_DIR.
        DATABASE_URL => url: Option<SecretString> = "";
        /// Connections for reading.
        DATABASE_READERS => readers: u32 = "8";
        /// Connections for writing (SQLite always has one).
        DATABASE_WRITERS => writers: u32 = "8";
        /// How long to wait for a free connection.
        DATABASE_ACQUIRE_TIMEOUT => acquire_timeout: Duration = "5s";
        /// PostgreSQL: how long a statement may take; 0s: without end.
        DATABASE_STATEMENT_TIMEOUT => statement_timeout: Duration = "10s";
        /// PostgreSQL: how long a statement may wait for a lock; 0s: without end.
        DATABASE_LOCK_TIMEOUT => lock_timeout: Duration = "2s";
    }
    /// Keys and tokens.
    security: Security {
        /// At least 32 characters; every key is derived from it. Empty in development: made once and kept in DATA_DIR.
        SECRET_KEY => secret_key: Option<SecretString> = "";
        /// Signing keys as `kid:seed` pairs separated by commas, the first one signs; a seed is 32 bytes in base64url (Ed25519). Empty: one derived from SECRET_KEY.
        JWT_KEYS => jwt_keys: Option<SecretString> = "";
        /// The `aud` of access tokens.
        JWT_AUDIENCE => jwt_audience: String = "spacedly";
        /// How long an access token is good for; in production 24h at most.
        ACCESS_TOKEN_LIFETIME => access_token_lifetime: Duration = "15m";
        /// How long a session lives between two refreshes.
        SESSION_IDLE_LIFETIME => session_idle_lifetime: Duration = "7d";
        /// The same for people who asked to be remembered.
        SESSION_REMEMBERED_LIFETIME => session_remembered_lifetime: Duration = "30d";
        /// How long a session lives at most, from the login.
        SESSION_TOTAL_LIFETIME => session_total_lifetime: Duration = "90d";
        /// For how long after a rotation the token before it still gets the same successor (two tabs refresh at once).
        REFRESH_GRACE => refresh_grace: Duration = "10s";
        /// How many sessions a person may have; the one used longest ago ends when another is opened.
        SESSIONS_PER_USER => sessions_per_user: u64 = "100";
        /// How exactly it is known when a session was last used.
        SESSION_TOUCH => session_touch: Duration = "5m";
        /// How long ago the last login may be for what needs a fresh one: password, address, second factor, deletion.
        AUTHENTICATION_FRESH => authentication_fresh: Duration = "15m";
        /// For how long an instance may believe that a session is alive without looking; in production 1m at most.
        SESSION_CACHE => session_cache: Duration = "5s";
        /// Domain attribute of cookies. Empty: the API's own host only.
        COOKIE_DOMAIN => cookie_domain: Option<String> = "";
        /// SameSite attribute of cookies: `Lax`, `Strict` or `None`.
        COOKIE_SAMESITE => cookie_same_site: String = "Lax";
        /// argon2id memory in KiB.
        PASSWORD_MEMORY_KIB => password_memory_kib: u32 = "19456";
        /// argon2id passes.
        PASSWORD_PASSES => password_passes: u32 = "2";
        /// argon2id lanes.
        PASSWORD_LANES => password_lanes: u32 = "1";
        /// How many passwords are hashed at the same time.
        PASSWORD_PERMITS => password_permits: usize = "2";
        /// How many may wait for that; the next one is RATE_LIMITED.
        PASSWORD_QUEUE => password_queue: usize = "32";
    }
    /// Accounts.
    accounts: Accounts {
        /// How long a mailed code is good for; in production 1h at most.
        CODE_LIFETIME => code_lifetime: Duration = "5m";
        /// How long to wait before another code is mailed to the same address.
        CODE_COOLDOWN => code_cooldown: Duration = "60s";
        /// Wrong codes after which a code is burned; in production 20 at most.
        CODE_TRIES => code_tries: i32 = "5";
        /// How long the setting up of an authenticator app may take.
        SETUP_LIFETIME => setup_lifetime: Duration = "15m";
        /// How long the link for a forgotten password is good for; in production 24h at most.
        RESET_LIFETIME => reset_lifetime: Duration = "1h";
        /// For how long a change of address can be undone from the old one.
        EMAIL_UNDO_LIFETIME => email_undo_lifetime: Duration = "24h";
        /// The zone of people who chose none, by its IANA name.
        DEFAULT_TIME_ZONE => default_time_zone: String = "UTC";
    }
    /// How often something may be tried, by an address (IPv6: its /64) and by an account where one is named. In production LOGIN_FAILURES, CODE_FAILURES, CHALLENGE_LIMIT and FORGOT_LIMIT are 100 at most, and their windows 5m at least.
    attempts: Attempts {
        /// Failed logins in a window.
        LOGIN_FAILURES => login_failures: u64 = "5";
        /// The window of failed logins.
        LOGIN_WINDOW => login_window: Duration = "15m";
        /// Registrations, codes asked for again, and new passwords, in a window of their own each.
        REGISTER_LIMIT => register: u64 = "5";
        /// The window of registrations.
        REGISTER_WINDOW => register_window: Duration = "15m";
        /// Wrong codes and links in a window.
        CODE_FAILURES => code_failures: u64 = "5";
        /// The window of wrong codes.
        CODE_WINDOW => code_window: Duration = "15m";
        /// Logins and changes of an account that begin to wait for a code, in a window.
        CHALLENGE_LIMIT => challenge: u64 = "10";
        /// The window of those.
        CHALLENGE_WINDOW => challenge_window: Duration = "15m";
        /// Ways to the OpenID provider and back, in a window.
        OIDC_LIMIT => oidc: u64 = "60";
        /// The window of those.
        OIDC_WINDOW => oidc_window: Duration = "15m";
        /// Links for forgotten passwords asked for, in a window.
        FORGOT_LIMIT => forgot: u64 = "3";
        /// The window of forgotten passwords.
        FORGOT_WINDOW => forgot_window: Duration = "1h";
        /// Exports of an account in a window.
        EXPORT_LIMIT => export: u64 = "5";
        /// The window of exports.
        EXPORT_WINDOW => export_window: Duration = "1h";
    }
    /// OpenID Connect: logging in with Google, or with any provider.
    oidc: Oidc {
        /// The provider's issuer URL.
        OIDC_ISSUER => issuer: String = "https://accounts.google.com";
        /// The client id that the provider gave. Empty: nobody can log in this way.
        OIDC_CLIENT_ID => client_id: Option<String> = "";
        /// The client secret that the provider gave.
        OIDC_CLIENT_SECRET => client_secret: Option<SecretString> = "";
        /// How long a person may take at the provider.
        OIDC_ROUND_LIFETIME => round_lifetime: Duration = "10m";
        /// How long to wait for the provider.
        OIDC_TIMEOUT => timeout: Duration = "10s";
    }
    /// Several instances.
    shared: Shared {
        /// `redis://…` or `rediss://…`: hints and limits are shared by every instance. Empty: this process only.
        REDIS_URL => redis_url: Option<SecretString> = "";
        /// What every Redis key and channel begins with.
        REDIS_PREFIX => redis_prefix: String = "spacedly";
    }
    /// Mail.
    mail: Mail {
        /// `smtps://user:password@host` or `smtp://user:password@host?tls=required`. Empty in development: caught in the mailbox at /dev/mailbox.
        SMTP_URL => smtp_url: Option<SecretString> = "";
        /// The sender of every mail.
        MAIL_FROM => from: String = "Spacedly <hello@spacedly.localhost>";
        /// How long to wait for the mail server.
        SMTP_TIMEOUT => timeout: Duration = "30s";
        /// After so many mails in a row that could not reach the mail server, the others wait until one gets through.
        SMTP_BREAKER_AFTER => breaker_after: u32 = "3";
        /// The longest wait until the mail server is tried again while it cannot be reached; the first is 1 s, and it doubles.
        SMTP_BREAKER_LONGEST => breaker_longest: Duration = "30s";
    }
    /// Messages to browsers (Web Push).
    push: Push {
        /// The private key with which messages are signed: 32 bytes of a P-256 key in base64url, as npm `web-push generate-vapid-keys` prints it. Empty: derived from SECRET_KEY, so that a new one ends every subscription.
        VAPID_PRIVATE_KEY => vapid_private_key: Option<SecretString> = "";
        /// Whom a push service may turn to: `mailto:…` or `https://…`. Empty: the address of MAIL_FROM.
        VAPID_SUBJECT => vapid_subject: Option<String> = "";
        /// How long to wait for a push service.
        PUSH_TIMEOUT => timeout: Duration = "10s";
        /// How long a push service keeps a message for a browser that is away.
        PUSH_TIME_TO_LIVE => time_to_live: Duration = "1d";
        /// Browsers that a person may register; the one registered longest ago goes when another comes.
        PUSH_PER_USER => per_user: usize = "20";
        /// Tests that a person may send in a window.
        PUSH_TEST_LIMIT => test_limit: u64 = "5";
        /// The window of those.
        PUSH_TEST_WINDOW => test_window: Duration = "15m";
        /// Lets http: and private addresses be push services: for development and tests, refused in production.
        PUSH_ALLOW_PRIVATE => allow_private: bool = "false";
    }
    /// Files: where they lie and how large they may be.
    storage: Storage {
        /// The address of an S3, like `https://s3.eu-central-1.amazonaws.com`. Empty in development: a store in the process, in DATA_DIR.
        S3_ENDPOINT => endpoint: Option<String> = "";
        /// The same as browsers see it, for the links that they are given. Empty: S3_ENDPOINT.
        S3_PUBLIC_ENDPOINT => public_endpoint: Option<String> = "";
        /// The bucket; it is made when it is missing. One for each database: objects that the database does not know are removed.
        S3_BUCKET => bucket: String = "spacedly-files";
        /// The region that requests are signed for.
        S3_REGION => region: String = "us-east-1";
        /// The id of the access key.
        S3_ACCESS_KEY_ID => access_key_id: Option<String> = "";
        /// The secret of the access key.
        S3_SECRET_ACCESS_KEY => secret_access_key: Option<SecretString> = "";
        /// Whether the bucket stands in the path (`https://host/bucket/key`) and not in the host's name.
        S3_PATH_STYLE => path_style: bool = "true";
        /// How long to wait for an answer of the S3.
        S3_TIMEOUT => timeout: Duration = "20s";
        /// Bytes of a file.
        FILE_LIMIT => file_limit: u64 = "10000000";
        /// Files that are announced or sent in one request.
        FILES_PER_REQUEST => files_per_request: usize = "10";
        /// Files of one task at most.
        FILES_PER_TASK => files_per_task: u64 = "100";
        /// Bytes that all files of a person may take.
        STORAGE_PER_USER => per_user: u64 = "1000000000";
        /// How long the link for an upload is good for.
        UPLOAD_LINK_LIFETIME => upload_link_lifetime: Duration = "15m";
        /// How long the link for a download is good for.
        DOWNLOAD_LINK_LIFETIME => download_link_lifetime: Duration = "15m";
        /// How long an announced upload may take before it is forgotten.
        UPLOAD_LIFETIME => upload_lifetime: Duration = "24h";
        /// Requests of a person that announce or send files, in a window.
        UPLOAD_LIMIT => upload_limit: u64 = "60";
        /// The window of those.
        UPLOAD_WINDOW => upload_window: Duration = "1h";
        /// Bytes a second that an upload through the API must come with, after BODY_TIMEOUT.
        UPLOAD_RATE => upload_rate: u64 = "64000";
        /// Uploads of one person through the API at the same time on one instance.
        UPLOADS_PER_USER => uploads_per_user: usize = "5";
        /// Uploads through the API at the same time on one instance.
        UPLOADS_AT_ONCE => uploads_at_once: usize = "50";
        /// Pixels of an image.
        IMAGE_PIXELS => image_pixels: u64 = "40000000";
        /// Bytes of memory that one image may take while it is optimised.
        IMAGE_MEMORY => image_memory: u64 = "134217728";
        /// How long optimising an image may take.
        IMAGE_TIME => image_time: Duration = "5s";
        /// Images that are optimised at the same time on one instance.
        IMAGE_PERMITS => image_permits: usize = "1";
        /// Images are fitted into this width.
        IMAGE_WIDTH => image_width: u32 = "1920";
        /// Images are fitted into this height.
        IMAGE_HEIGHT => image_height: u32 = "1080";
        /// The quality of photos as WebP, from 1 to 100.
        IMAGE_QUALITY => image_quality: u32 = "70";
        /// Thumbnails are fitted into a square of this side.
        THUMBNAIL_SIZE => thumbnail_size: u32 = "320";
        /// How long a worker may take to store what it made of a file, before it is given up.
        FILE_WRITE_TIME => write_time: Duration = "1h";
        /// How long an upload that began before its link ended may still take.
        UPLOAD_LATE => upload_late: Duration = "30m";
        /// How often the whole bucket is looked through for objects that nobody knows.
        STORAGE_SWEEP => sweep_every: Duration = "24h";
        /// How old an object must be that is removed because nobody knows it.
        STORAGE_ORPHAN_AGE => orphan_age: Duration = "24h";
    }
    /// Background work.
    jobs: Jobs {
        /// How long a worker holds a job before others may take it over: 1s at least.
        JOB_LEASE => lease: Duration = "30s";
        /// How often a waiting worker looks by itself.
        JOB_POLL => poll: Duration = "1s";
        /// The wait after the first failed try; it doubles with each.
        JOB_RETRY_FIRST => retry_first: Duration = "1m";
        /// The longest wait between two tries.
        JOB_RETRY_LONGEST => retry_longest: Duration = "1h";
        /// How many tries that a server answered are made.
        JOB_ATTEMPTS => attempts: i32 = "10";
        /// For how long a job is tried at all.
        JOB_GIVE_UP_AFTER => give_up_after: Duration = "7d";
        /// How many workers may vanish over a job that they do alone before it is put aside.
        JOB_CRASHES => crashes: i32 = "10";
        /// How many jobs of a kind one worker takes at once.
        JOB_BATCH => batch: u64 = "50";
        /// How many batches of a kind are worked on at the same time.
        JOB_CONCURRENCY => concurrency: usize = "4";
    }
    /// What requests may cost, in points: see `rateLimit` in the schema.
    budget: Budget {
        /// Points that a person may spend in COST_WINDOW.
        COST_BUDGET => person: u64 = "10000";
        /// The same for who is not logged in, of each address (IPv6: its /64).
        COST_BUDGET_ANONYMOUS => anonymous: u64 = "1000";
        /// The time after which all points are there again; it begins with the first request.
        COST_WINDOW => window: Duration = "1m";
    }
    /// Documents that are known by a hash or an id, and what may be asked of the schema itself.
    documents: Documents {
        /// Whether automatic persisted queries are taken (Apollo's protocol).
        PERSISTED_QUERIES => automatic: bool = "true";
        /// Bytes of them that are kept for all people together, once more for all who are not logged in, and for who brought what.
        PERSISTED_QUERIES_BYTES => automatic_bytes: u64 = "16000000";
        /// How many of them one person has at once; beyond that the oldest goes, and is brought again when it is wanted.
        PERSISTED_QUERIES_PER_USER => automatic_each: usize = "200";
        /// How long one is kept that nobody uses.
        PERSISTED_QUERIES_IDLE => automatic_idle: Duration = "24h";
        /// A JSON file of trusted documents: `{ "id": "document" }`, as graphql-codegen and Relay write it, or Apollo's manifest.
        TRUSTED_DOCUMENTS => trusted: Option<PathBuf> = "";
        /// Whether only trusted documents run.
        TRUSTED_DOCUMENTS_ONLY => trusted_only: bool = "false";
        /// Whether the schema may be asked for, and errors suggest names. Empty: in development only.
        INTROSPECTION => introspection: Option<bool> = "";
    }
    /// What a request may ask for.
    limits: Limits {
        /// Bytes of a request body.
        BODY_LIMIT => body: usize = "1000000";
        /// Bytes of a GraphQL document.
        DOCUMENT_LIMIT => document: usize = "15000";
        /// Tokens in a document.
        DOCUMENT_TOKENS => tokens: usize = "1000";
        /// Levels of fields in a document.
        DOCUMENT_DEPTH => depth: usize = "12";
        /// The same below `__schema` and `__type`, for GraphiQL and code generators.
        DOCUMENT_INTROSPECTION_DEPTH => introspection_depth: usize = "20";
        /// Fragment definitions in a document.
        DOCUMENT_FRAGMENTS => fragments: usize = "30";
        /// Fragment spreads in a document.
        DOCUMENT_SPREADS => spreads: usize = "100";
        /// Fields of all operations of a document once every fragment is written out.
        DOCUMENT_SELECTIONS => selections: usize = "2000";
        /// Values that an answer may have if every page of it were full.
        DOCUMENT_VALUES => values: usize = "100000";
        /// Aliases in an operation once every fragment is written out.
        DOCUMENT_ALIASES => aliases: usize = "15";
        /// Mutations in one operation.
        DOCUMENT_MUTATIONS => mutations: usize = "5";
        /// Directives in a document.
        DOCUMENT_DIRECTIVES => directives: usize = "50";
        /// Errors in one answer.
        ERROR_LIMIT => errors: usize = "20";
        /// Bytes of memory that parsed documents which are kept may take, about.
        DOCUMENT_CACHE_BYTES => document_cache: u64 = "32000000";
        /// How long an operation may take.
        REQUEST_TIMEOUT => request_timeout: Duration = "30s";
        /// How long a client may take to send the headers of its first request.
        HEADER_TIMEOUT => header_timeout: Duration = "10s";
        /// How long a connection is kept from an answer to the headers of the next request. Longer than a proxy in front
        /// keeps it (nginx and most load balancers: 60 s): else it asks on connections that are being closed.
        KEEP_ALIVE_TIMEOUT => keep_alive: Duration = "75s";
        /// How long a client may take to send its body.
        BODY_TIMEOUT => body_timeout: Duration = "30s";
        /// Connections at the same time.
        CONNECTION_LIMIT => connections: usize = "10000";
        /// An operation that takes longer is logged as slow.
        SLOW_REQUEST => slow_request: Duration = "1s";
        /// Items of a page when the client names no number.
        PAGE_DEFAULT => page_default: usize = "20";
        /// Items of a page at most.
        PAGE_LIMIT => page_limit: usize = "100";
        /// Reminders of one task at most.
        REMINDERS_PER_TASK => reminders_per_task: u64 = "100";
        /// Tasks found by a search that are looked up one by one; beyond, the list is read in its order and compared.
        SEARCH_LOOKUP => search_lookup: u64 = "1000";
        /// How long a deleted task can be brought back, before it is purged.
        TRASH_LIFETIME => trash_lifetime: Duration = "30d";
        /// How long after its moment a reminder is marked as late.
        REMINDER_LATE_AFTER => reminder_late_after: Duration = "1m";
        /// How long before its due moment a task is told of as due soon.
        UPCOMING_LEAD => upcoming_lead: Duration = "24h";
        /// How far ahead a reminder may lie.
        REMINDER_HORIZON => reminder_horizon: Duration = "1827d";
        /// How long an idempotency key is kept.
        IDEMPOTENCY_LIFETIME => idempotency_lifetime: Duration = "24h";
        /// How long notifications are kept.
        NOTIFICATION_LIFETIME => notification_lifetime: Duration = "90d";
        /// How long the live stream can be replayed.
        EVENT_LIFETIME => event_lifetime: Duration = "7d";
        /// How long finished registrations and sessions are kept before they are swept.
        SWEEP_AFTER => sweep_after: Duration = "24h";
    }
    /// What is counted of a person.
    analytics: Analytics {
        /// For how long an answer is kept at most, while nothing that it counts changes.
        ANALYTICS_CACHE => cache: Duration = "5m";
        /// The same while changes on other instances are not heard: several instances without REDIS_URL, or while Redis is away.
        ANALYTICS_CACHE_UNHEARD => unheard: Duration = "5s";
        /// Bytes of memory that the answers kept may take, about.
        ANALYTICS_CACHE_BYTES => bytes: u64 = "64000000";
    }
    /// WebSockets and event streams (SSE), which count as sockets.
    sockets: Sockets {
        /// How long a client may take to say `connection_init` on a socket.
        SOCKET_INIT_TIMEOUT => init_timeout: Duration = "5s";
        /// How often the server pings; on an event stream with a comment, when nothing else was written.
        SOCKET_PING => ping: Duration = "30s";
        /// Operations at once on one socket, or on one reserved event stream.
        SOCKET_SUBSCRIPTIONS => subscriptions: usize = "10";
        /// Sockets and event streams of one person on one instance, reserved ones included.
        SOCKETS_PER_USER => per_user: usize = "20";
        /// Sockets and event streams on one instance that nobody is logged in on, from one address (of IPv6: from one /64), and as many sockets again that have not said yet who they are.
        SOCKETS_PER_ADDRESS => per_address: usize = "500";
        /// Bytes of a message on a socket.
        SOCKET_MESSAGE_LIMIT => message: usize = "64000";
        /// How long an event stream that was reserved may wait to be opened.
        STREAM_RESERVATION => reservation: Duration = "30s";
        /// How often a subscription looks by itself, besides the hints of the bus.
        SUBSCRIPTION_POLL => poll: Duration = "5s";
        /// How long a client that reads nothing may keep the server from writing: an answer, a socket or an event stream.
        SOCKET_WRITE_TIMEOUT => write_timeout: Duration = "10s";
    }
    /// Logs, health and stopping.
    operations: Operations {
        /// What is logged, in the syntax of tracing-subscriber's EnvFilter. Libraries tell warnings at most, whatever it says: below that some tell passwords and mails.
        LOG => log: String = "info";
        /// `text` or `json`. Empty: text in development, JSON in production.
        LOG_FORMAT => log_format: Option<LogFormat> = "";
        /// How long running work may take to finish after SIGTERM.
        SHUTDOWN_TIMEOUT => shutdown_timeout: Duration = "30s";
        /// How long after SIGTERM connections are still taken while `/health/ready` says no already, so that a proxy has time to see it. Empty: not at all in development, 5s in production.
        SHUTDOWN_DELAY => shutdown_delay: Option<Duration> = "";
        /// How long a part may take to answer when somebody asks for `/health/ready`, and the queue for `/metrics`.
        HEALTH_TIMEOUT => health_timeout: Duration = "2s";
        /// For how long what a part answered is told again, however often somebody asks for `/health/ready`.
        HEALTH_CACHE => health_cache: Duration = "1s";
    }
    /// What can be seen from outside: metrics and traces.
    watching: Watching {
        /// The bearer token that `/metrics` asks for. Empty: in development none is asked for, in production there are no metrics.
        METRICS_TOKEN => metrics_token: Option<SecretString> = "";
        /// Names of operations that are counted by themselves, one half of them for who is not logged in; clients make them up, so the others are counted together as `other`.
        METRICS_OPERATIONS => operations: usize = "100";
        /// How often the database is asked about the queue at most, however often `/metrics` is read.
        METRICS_QUEUE_EVERY => queue_every: Duration = "10s";
        /// Jobs of a kind that are counted at most, and of those put aside all kinds together; with more in the queue the metric stays there.
        METRICS_QUEUE_LIMIT => queue_limit: u64 = "10000";
        /// Where traces go, as OTLP in protobuf over HTTP: the address of a collector, like `http://localhost:4318`; `/v1/traces` is added. Empty: nowhere.
        OTLP_ENDPOINT => otlp_endpoint: Option<SecretString> = "";
        /// The share of requests and batches of jobs that are traced, from 0 to 1. Behind TRUSTED_PROXIES a `traceparent` decides for its request.
        OTLP_SAMPLE => otlp_sample: f64 = "0.1";
        /// The name of the service in traces.
        OTLP_SERVICE => otlp_service: String = "spacedly";
        /// How often traces are handed to the collector.
        OTLP_EVERY => otlp_every: Duration = "5s";
    }
    /// Fault runs: for tests only, all refused in production.
    faults: Faults {
        /// Lets the process die the n-th time that it reaches a point, as `point:n`; the points stand in platform/crash.rs. Empty: never.
        CRASH_AT => crash_at: Option<CrashAt> = "";
        /// A file with whole seconds, read at the start, by which the clock is moved on. Empty: the clock is the machine's.
        CLOCK_OFFSET_FILE => clock_offset_file: Option<PathBuf> = "";
    }
}
