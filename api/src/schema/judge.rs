//! Whether a document may run: parsed, measured by the guard and validated once; the verdict is kept.

use std::sync::{Arc, atomic::Ordering};

use async_graphql::{
    CacheControl, Request, ServerError, ValidationResult,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
};

use super::{Accepted, Refused, Schema, Verdict, guard, tokens};
use crate::platform::walk::DocumentFacts;

impl Schema {
    /// What is known of a document by its hash.
    pub(super) fn kept_verdict(&self, hash: &[u8; 32]) -> Option<Verdict> {
        let verdict = self.verdicts.get(hash)?;
        self.kept.fetch_add(1, Ordering::Relaxed);
        Some(verdict)
    }

    /// Judges a document, and keeps what comes of it under its hash.
    pub(super) async fn new_verdict(&self, hash: [u8; 32], query: &str) -> Verdict {
        self.judged.fetch_add(1, Ordering::Relaxed);
        let verdict = self.judge(query).await.map(Arc::new);
        self.verdicts.insert(hash, verdict.clone());
        verdict
    }

    async fn judge(&self, query: &str) -> Result<Accepted, Refused> {
        let limits = &self.platform.config.limits;
        let tokens = tokens::check(query, limits)?;
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
        Ok(Accepted { document, facts: DocumentFacts { keys_are_unique }, memory: memory(query, tokens) })
    }
}

/// About how many bytes a parsed document takes, so that those that are kept take no more than they may (measured by
/// `bench guard`): a field takes the most of all that one token can ask for.
fn memory(query: &str, tokens: usize) -> u32 {
    u32::try_from(2 * query.len() + 300 * tokens).unwrap_or(u32::MAX)
}

/// About how many bytes a verdict takes.
pub(super) fn weight(_: &[u8; 32], verdict: &Verdict) -> u32 {
    const ROUND_IT: u32 = 500;
    ROUND_IT
        + match verdict {
            Ok(accepted) => accepted.memory,
            // Each has a line of text, a place, and a code.
            Err(refused) => u32::try_from(refused.errors.len()).unwrap_or(u32::MAX).saturating_mul(1_000),
        }
}

const PASSED: &str = "validation passed";

/// Lets the executor walk the document once less: what it gets was judged.
pub(super) struct TakeForValidated;

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
pub(super) struct StopAfterValidation;

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
