//! Joins the rooms into one schema, and judges what is asked of it.
//! Promise: what runs was judged first. A document is parsed, measured by the guard and validated once; its verdict is
//! kept by its hash.

mod batch;
mod coerce;
mod cost;
mod documents;
mod guard;
mod judge;
mod node;
mod plugs;
mod run;
mod shapes;
mod tokens;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_graphql::{
    MergedObject, MergedSubscription, Object, Request, Response, SDLExportOptions, Schema as AsyncGraphqlSchema,
    ServerError, ValidationMode, Variables,
    dataloader::DataLoader,
    parser::types::{ExecutableDocument, OperationType},
};
use moka::sync::Cache;

use self::{
    batch::{Batches, NoDelay},
    coerce::InputTypes,
    cost::{Payer, RateLimit},
    judge::{StopAfterValidation, TakeForValidated},
    shapes::OutputShapes,
};
pub use self::{cost::Bill, documents::Documents};
use crate::{
    accounts::{self, Accounts, graphql::AccountMutations, graphql::User},
    analytics::Figures,
    attachments::{
        graphql::{AttachmentMutations, AttachmentSubscriptions},
        loaders::AttachmentLoader,
    },
    notifications::{
        graphql::{NotificationMutations, NotificationSubscriptions, preferences::PreferenceMutations},
        push::graphql::{PushMutations, PushQueries},
    },
    platform::{
        Platform,
        secret::sha256,
        viewer::{Caller, Origin},
        walk::DocumentFacts,
    },
    reminders::{
        graphql::{ReminderMutations, ReminderQueries},
        loaders::ReminderLoader,
    },
    tasks::{
        graphql::{FetchEdges, TaskMutations, TaskQueries},
        loaders::TaskLoader,
    },
};

/// Everything that can be read.
///
/// What a person can mend is data: the `userErrors` of a mutation. What the program must handle is in the `errors` of
/// the answer, of queries, mutations and subscriptions alike; `extensions.code` says what it is:
///
/// - UNAUTHENTICATED: nobody is logged in, or the session is over. Try sessionRefresh; if that says so too, log in
///   again.
/// - NOT_FOUND: what a mutation names is not there for the viewer, or not any more. (A query answers null for it.)
/// - BAD_REQUEST: the request itself is wrong; the message says how to mend it.
/// - CURSOR_EXPIRED: a subscription cannot go on from this cursor any more. Read the state anew, and subscribe with its
///   cursor.
/// - RATE_LIMITED: too often, or the points are spent (see `rateLimit`). Come again after `extensions.retryAfter`
///   seconds.
/// - QUERY_TOO_COMPLEX: the document is beyond a limit, or costs more than there ever is. Ask for less at once.
/// - IDEMPOTENCY_MISMATCH: this idempotencyKey came with other input, or for another mutation. Take a new key for a new
///   request.
/// - FORBIDDEN: this server does not tell its schema. Read schema.graphql.
/// - PERSISTED_QUERY_NOT_FOUND: the document that was named is not known here. Send its text along with its hash; of a
///   documentId, look whether the client and the server are of one release.
/// - PERSISTED_QUERY_NOT_SUPPORTED: documents are not kept here. Send the text.
/// - DOCUMENT_NOT_TRUSTED: only the documents of a list run here. Name one of them by its documentId.
/// - UNAVAILABLE: a part of the service does not answer. Try again in a moment; a mutation that makes something with
///   the same idempotencyKey. Its `extensions.requestId` finds it in the log.
/// - INTERNAL: a defect of ours. If it stays, report `extensions.requestId`.
#[derive(MergedObject, Default)]
pub struct Query(ViewerQueries, TaskQueries, ReminderQueries, PushQueries, node::NodeQueries);

/// Everything that can be done.
///
/// The mutations of a document are done one after the other. None of them is null: if one ends with a top-level error,
/// `data` is null as a whole. Those before it in the document were done all the same, those after it were not. So send
/// what must be known for sure in a document of its own. `Query` lists the codes of errors.
#[derive(MergedObject, Default)]
pub struct Mutation(
    AccountMutations,
    TaskMutations,
    AttachmentMutations,
    ReminderMutations,
    NotificationMutations,
    PreferenceMutations,
    PushMutations,
);

/// Everything that can be followed. A stream that fails ends with an error (`Query` lists the codes): subscribe again
/// with the last cursor as `after`.
#[derive(MergedSubscription, Default)]
pub struct Subscription(NotificationSubscriptions, AttachmentSubscriptions);

/// Who asks.
#[derive(Default)]
pub struct ViewerQueries;

#[Object]
impl ViewerQueries {
    /// The person who is logged in. Null: nobody is, or a field below failed, which `errors` says.
    async fn viewer(&self, ctx: &async_graphql::Context<'_>) -> Option<User> {
        accounts::graphql::viewer(ctx)
    }

    /// What requests cost, and how much of the budget is left.
    async fn rate_limit(&self, ctx: &async_graphql::Context<'_>) -> RateLimit {
        RateLimit(*ctx.data_unchecked::<Bill>(), ctx.data_unchecked::<Platform>().clone())
    }
}

type Executor = AsyncGraphqlSchema<Query, Mutation, Subscription>;

/// The schema, with what it needs to judge documents.
pub struct Schema {
    /// Validates by every rule of the specification, and stops there.
    judge: Executor,
    /// Executes what was judged, without validating again.
    executor: Executor,
    platform: Platform,
    documents: Arc<Documents>,
    inputs: InputTypes,
    outputs: OutputShapes,
    verdicts: Cache<[u8; 32], Verdict>,
    /// How often a verdict was kept, and how often a document was judged.
    kept: AtomicU64,
    judged: AtomicU64,
}

/// What is known of a document.
type Verdict = Result<Arc<Accepted>, Refused>;

/// A document that may run.
struct Accepted {
    document: ExecutableDocument,
    facts: DocumentFacts,
    /// About how many bytes it takes.
    memory: u32,
}

/// A request whose document may run, with what it would cost.
struct Weighed {
    accepted: Arc<Accepted>,
    variables: Variables,
    operation: OperationType,
    operation_name: Option<String>,
    points: u64,
}

/// Why a document may not run: answered as a request error (GraphQL over HTTP, status 400).
#[derive(Clone, Debug)]
pub struct Refused {
    pub errors: Vec<ServerError>,
    /// What it cost all the same, or would cost. None: it was not looked at.
    pub bill: Option<Bill>,
}

/// A request that may run.
pub struct Ready {
    pub request: Request,
    pub operation: OperationType,
    /// For the log. None: it has no name.
    pub operation_name: Option<String>,
    batches: Batches,
    bill: Bill,
    payer: Payer,
}

/// What a client asks for.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// None: it is named instead, by `document_id` or as a persisted query in `extensions`.
    #[serde(default)]
    pub query: Option<String>,
    /// The id of a trusted document (GraphQL over HTTP, appendix A).
    #[serde(default)]
    pub document_id: Option<String>,
    #[serde(default)]
    pub operation_name: Option<String>,
    #[serde(default)]
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    pub extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Schema {
    /// The schema over a platform.
    pub fn new(
        platform: Platform,
        accounts: Arc<Accounts>,
        analytics: Arc<Figures>,
        documents: Arc<Documents>,
    ) -> Self {
        let build = || {
            AsyncGraphqlSchema::build(Query::default(), Mutation::default(), Subscription::default())
                .register_output_type::<node::Node>()
                .data(platform.clone())
                .data(accounts.clone())
                .data(analytics.clone())
                .data::<FetchEdges>(plugs::fetch_edges)
        };
        let judge = build().validation_mode(ValidationMode::Strict).extension(StopAfterValidation);
        // A suggestion tells of the schema what may not be asked for.
        let judge = if platform.config.introspection() { judge } else { judge.disable_suggestions() }.finish();
        // Depth is the guard's business; the executor's own limit would refuse what the guard lets through.
        let executor = build().validation_mode(ValidationMode::Fast).limit_recursive_depth(256);
        let executor = executor.extension(TakeForValidated).finish();
        let sdl = executor.sdl();
        let inputs = InputTypes::from_sdl(&sdl);
        let outputs = OutputShapes::from_sdl(&sdl);
        let verdicts = Cache::builder().max_capacity(platform.config.limits.document_cache);
        let verdicts = verdicts.weigher(judge::weight).build();
        let (kept, judged) = Default::default();
        Self { judge, executor, platform, documents, inputs, outputs, verdicts, kept, judged }
    }

    /// The contract, as `schema.graphql` holds it.
    pub fn sdl(&self) -> String {
        let options =
            SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items().include_specified_by();
        let mut sdl = self.executor.sdl_with_options(options);
        while sdl.ends_with('\n') {
            sdl.pop();
        }
        sdl.push('\n');
        sdl
    }

    /// How often the verdict on a document was kept, and how often it was not.
    pub fn documents(&self) -> (u64, u64) {
        (self.kept.load(Ordering::Relaxed), self.judged.load(Ordering::Relaxed))
    }

    /// Judges what a client asks for, on behalf of a caller.
    ///
    /// # Errors
    /// Why it may not run.
    pub async fn prepare(&self, mut asked: Asked, caller: Caller, origin: Origin) -> Result<Ready, Refused> {
        let payer = Payer::of(&self.platform, caller, &origin);
        let found = match self.documents.find(&asked, caller) {
            Ok(found) => found,
            // What is wrong costs little, but it costs.
            Err(refused) => return Err(refused.after(payer.pay(&self.platform, 1, None).await)),
        };
        let hash = sha256(found.text.as_bytes());
        let (verdict, before) = match self.kept_verdict(&hash) {
            Some(verdict) => (verdict, None),
            // Judging is the dear part: it is paid for before.
            None => {
                let before = payer.pay(&self.platform, 1, None).await?;
                (self.new_verdict(hash, &found.text).await, Some(before))
            }
        };
        let weighed = verdict.and_then(|accepted| self.weigh(accepted, &mut asked));
        let points = weighed.as_ref().map_or(1, |weighed| weighed.points);
        let paid = payer.pay(&self.platform, points, before).await;
        let Weighed { accepted, variables, operation, operation_name, .. } = match weighed {
            Ok(weighed) => weighed,
            Err(refused) => return Err(refused.after(paid)),
        };
        let bill = paid?;
        if let Some(hash) = found.keep_as {
            self.documents.keep(caller, hash, found.text);
        }
        let mut request = Request::new("").variables(variables);
        request.operation_name = asked.operation_name;
        request.set_parsed_query(accepted.document.clone());
        let batches = Batches::default();
        let request = self.equip(request.data(accepted.facts), caller, &batches).data(caller).data(origin).data(bill);
        Ok(Ready { request, operation, operation_name, batches, bill, payer })
    }

    /// What is no request, but was read, costs as much as the smallest one.
    ///
    /// # Errors
    /// RATE_LIMITED when even this cannot be paid.
    pub async fn charge(&self, caller: Caller, origin: &Origin) -> Result<Bill, Refused> {
        Payer::of(&self.platform, caller, origin).pay(&self.platform, 1, None).await
    }

    fn weigh(&self, accepted: Arc<Accepted>, asked: &mut Asked) -> Result<Weighed, Refused> {
        let operation = &guard::choose(&accepted.document, asked.operation_name.as_deref())?.node;
        let given = asked.variables.take().unwrap_or_default();
        let variables = self.inputs.coerce(&operation.variable_definitions, given)?;
        let weight = guard::weigh(&accepted.document, operation, &variables, &self.platform.config.limits)?;
        let operation_name = guard::name_of(&accepted.document, operation).map(str::to_owned);
        let (operation, points) = (operation.ty, weight.points());
        Ok(Weighed { accepted, variables, operation, operation_name, points })
    }

    /// One loader set per request, bound to the viewer: there is none without.
    fn equip(&self, request: Request, caller: Caller, batches: &Batches) -> Request {
        let Some(viewer) = caller.0 else { return request };
        let platform = || self.platform.clone();
        request
            .data(DataLoader::new(TaskLoader { platform: platform(), viewer }, batches.clone(), NoDelay))
            .data(DataLoader::new(ReminderLoader { platform: platform(), viewer }, batches.clone(), NoDelay))
            .data(DataLoader::new(AttachmentLoader { platform: platform(), viewer }, batches.clone(), NoDelay))
    }
}

impl Ready {
    /// What it costs.
    pub fn bill(&self) -> Bill {
        self.bill
    }

    /// The same with what a resolver finds in its context.
    pub fn with<D: std::any::Any + Send + Sync>(mut self, data: D) -> Self {
        self.request = self.request.data(data);
        self
    }
}

impl Refused {
    /// One error with a code.
    fn with(code: &str, message: impl Into<String>) -> Self {
        let mut error = ServerError::new(message, None);
        error.extensions.get_or_insert_default().set("code", code);
        Self { errors: vec![error], bill: None }
    }

    /// A document beyond a limit.
    fn too_complex(message: impl Into<String>) -> Self {
        Self::with("QUERY_TOO_COMPLEX", message)
    }

    /// The session that asks is over.
    pub fn unauthenticated() -> Self {
        Self::with("UNAUTHENTICATED", "The session has ended. Log in again.")
    }

    /// A request that is wrong in itself.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::with("BAD_REQUEST", message)
    }

    /// Tells what it cost, or that not even this can be paid.
    fn after(self, paid: Result<Bill, Self>) -> Self {
        match paid {
            Ok(bill) => Self { bill: Some(bill), ..self },
            Err(broke) => broke,
        }
    }

    /// As an answer.
    pub fn into_response(self) -> Response {
        let answer = Response::from_errors(self.errors);
        match self.bill {
            Some(bill) => bill.on(answer),
            None => answer,
        }
    }

    fn by_validation(mut errors: Vec<ServerError>, limit: usize) -> Self {
        errors.truncate(limit);
        for error in &mut errors {
            // async-graphql echoes parts of the document; a line is enough to find the place.
            error.message = error.message.chars().take(300).collect();
            error.extensions.get_or_insert_default().set("code", "BAD_REQUEST");
        }
        Self { errors, bill: None }
    }
}
