//! Joins the rooms into one schema, and judges what is asked of it.
//! Promise: what runs was judged first. A document is parsed, measured by the guard and validated once; its verdict is
//! kept by its hash.

mod batch;
mod coerce;
mod cost;
mod documents;
mod guard;
mod node;
mod plugs;
mod shapes;
mod tokens;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_graphql::{
    CacheControl, MergedObject, MergedSubscription, Object, Request, Response, SDLExportOptions,
    Schema as AsyncGraphqlSchema, ServerError, ValidationMode, ValidationResult, Variables,
    dataloader::DataLoader,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
    parser::types::{ExecutableDocument, OperationType},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use moka::sync::Cache;

pub use self::documents::Documents;
use self::{
    batch::{Batches, Driven, NoDelay},
    coerce::InputTypes,
    cost::{Paid, Payer, RateLimit},
    shapes::OutputShapes,
};
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
#[derive(MergedObject, Default)]
pub struct Query(ViewerQueries, TaskQueries, ReminderQueries, PushQueries, node::NodeQueries);

/// Everything that can be done.
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

/// Everything that can be followed.
#[derive(MergedSubscription, Default)]
pub struct Subscription(NotificationSubscriptions, AttachmentSubscriptions);

/// Who asks.
#[derive(Default)]
pub struct ViewerQueries;

#[Object]
impl ViewerQueries {
    /// The person who is logged in. Null: nobody is.
    async fn viewer(&self, ctx: &async_graphql::Context<'_>) -> Option<User> {
        accounts::graphql::viewer(ctx)
    }

    /// What requests cost, and how much of the budget is left.
    async fn rate_limit(&self, ctx: &async_graphql::Context<'_>) -> RateLimit {
        RateLimit(*ctx.data_unchecked::<Paid>(), ctx.data_unchecked::<Platform>().clone())
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
}

/// A request that may run.
pub struct Ready {
    pub request: Request,
    pub operation: OperationType,
    /// For the log. None: it has no name.
    pub operation_name: Option<String>,
    batches: Batches,
    paid: Paid,
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
        let verdicts = Cache::new(platform.config.limits.document_cache);
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
            Err(refused) => return Err(payer.pay(&self.platform, 1, None).await.err().unwrap_or(refused)),
        };
        let (verdict, before) = match self.verdict(&found.text) {
            Some(verdict) => (verdict, None),
            // Judging is the dear part: it is paid for before.
            None => {
                let before = payer.pay(&self.platform, 1, None).await?;
                (self.judged(&found.text).await, Some(before))
            }
        };
        let weighed = verdict.and_then(|accepted| self.weigh(accepted, &mut asked));
        let points = weighed.as_ref().map_or(1, |weighed| weighed.points);
        let paid = payer.pay(&self.platform, points, before).await?;
        let Weighed { accepted, variables, operation, operation_name, .. } = weighed?;
        if let Some(hash) = found.keep_as {
            self.documents.keep(caller, hash, found.text);
        }
        let mut request = Request::new("").variables(variables);
        request.operation_name = asked.operation_name;
        request.set_parsed_query(accepted.document.clone());
        let batches = Batches::default();
        let request = self.equip(request.data(accepted.facts), caller, &batches).data(caller).data(origin).data(paid);
        Ok(Ready { request, operation, operation_name, batches, paid, payer })
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

    /// Runs a query or a mutation.
    pub async fn execute(&self, ready: Ready) -> Response {
        let answer = stream::once(self.executor.execute(ready.request)).boxed();
        // The stream has one answer.
        ready.paid.on(Driven::new(answer, ready.batches).next().await.unwrap_or_default())
    }

    /// Runs any operation as a stream of answers, of which the first tells the cost. Those of more than a point are paid
    /// for one by one: the stream ends with what cannot be paid, and its client goes on from its cursor later.
    pub fn execute_stream(&self, ready: Ready) -> BoxStream<'static, Response> {
        let Ready { request, batches, paid, payer, .. } = ready;
        let mut first = Some(paid);
        let answers = Driven::new(self.executor.execute_stream(request), batches);
        let told = answers.map(move |answer| match first.take() {
            Some(paid) => (true, paid.on(answer)),
            None => (false, answer),
        });
        if paid.points() == 1 {
            return told.map(|(_, answer)| answer).boxed();
        }
        let state = Some((told.boxed(), payer, self.platform.clone()));
        let dear = stream::unfold(state, move |state| async move {
            let (mut told, payer, platform) = state?;
            let (is_paid, answer) = told.next().await?;
            if is_paid {
                return Some((answer, Some((told, payer, platform))));
            }
            match payer.pay(&platform, paid.points(), None).await {
                Ok(_) => Some((answer, Some((told, payer, platform)))),
                Err(refused) => Some((Response::from_errors(refused.errors), None)),
            }
        });
        dear.boxed()
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

    fn verdict(&self, query: &str) -> Option<Verdict> {
        let verdict = self.verdicts.get(&sha256(query.as_bytes()))?;
        self.kept.fetch_add(1, Ordering::Relaxed);
        Some(verdict)
    }

    async fn judged(&self, query: &str) -> Verdict {
        self.judged.fetch_add(1, Ordering::Relaxed);
        let verdict = self.judge(query).await.map(Arc::new);
        self.verdicts.insert(sha256(query.as_bytes()), verdict.clone());
        verdict
    }

    async fn judge(&self, query: &str) -> Result<Accepted, Refused> {
        let limits = &self.platform.config.limits;
        tokens::check(query, limits)?;
        let document = guard::parse(query)?;
        let keys_are_unique = guard::check(&document, limits)?;
        if !self.platform.config.introspection() && guard::introspects(&document) {
            let message = "The schema may not be asked for here (INTROSPECTION): read schema.graphql.";
            return Err(Refused::with("FORBIDDEN", message));
        }
        let mut request = Request::new("");
        request.set_parsed_query(document.clone());
        // Rules that look at values see them at coercion; here every variable is absent.
        let answer = self.judge.execute(request).await;
        // The library does not look at the directives of `__typename`, and takes their variables for unused.
        let used = guard::variables_of_typename(&document);
        let mistaken = |error: &ServerError| {
            used.iter().any(|name| error.message.starts_with(&format!("Variable \"${name}\" is not used")))
        };
        let real = |error: &ServerError| error.message != PASSED && !mistaken(error);
        let errors: Vec<ServerError> = answer.errors.into_iter().filter(real).collect();
        if !errors.is_empty() {
            return Err(Refused::by_validation(errors, limits.errors));
        }
        self.outputs.check(&document)?;
        Ok(Accepted { document, facts: DocumentFacts { keys_are_unique } })
    }
}

impl Ready {
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
        Self { errors: vec![error] }
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

    fn by_validation(mut errors: Vec<ServerError>, limit: usize) -> Self {
        errors.truncate(limit);
        for error in &mut errors {
            // async-graphql echoes parts of the document; a line is enough to find the place.
            error.message = error.message.chars().take(300).collect();
            error.extensions.get_or_insert_default().set("code", "BAD_REQUEST");
        }
        Self { errors }
    }
}

const PASSED: &str = "validation passed";

/// Lets the executor walk the document once less: what it gets was judged.
struct TakeForValidated;

impl ExtensionFactory for TakeForValidated {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for TakeForValidated {
    async fn validation(
        &self,
        _: &ExtensionContext<'_>,
        _: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        Ok(ValidationResult { cache_control: CacheControl::default(), complexity: 0, depth: 0 })
    }
}

/// Ends a request once it is validated: the judge never executes.
struct StopAfterValidation;

impl ExtensionFactory for StopAfterValidation {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for StopAfterValidation {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        next.run(ctx).await?;
        Err(vec![ServerError::new(PASSED, None)])
    }
}
