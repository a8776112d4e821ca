//! Runs what was judged.

use async_graphql::Response;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{Ready, Schema, batch::Driven};

impl Schema {
    /// Runs a query or a mutation.
    pub async fn execute(&self, ready: Ready) -> Response {
        let answer = stream::once(self.executor.execute(ready.request)).boxed();
        // The stream has one answer.
        ready.bill.on(Driven::new(answer, ready.batches).next().await.unwrap_or_default())
    }

    /// Runs any operation as a stream of answers, of which the first tells the cost. Those of more than a point are paid
    /// for one by one: the stream ends with what cannot be paid, and its client goes on from its cursor later.
    pub fn execute_stream(&self, ready: Ready) -> BoxStream<'static, Response> {
        let Ready { request, batches, bill, payer, .. } = ready;
        let mut first = Some(bill);
        let answers = Driven::new(self.executor.execute_stream(request), batches);
        let told = answers.map(move |answer| match first.take() {
            Some(bill) => (true, bill.on(answer)),
            None => (false, answer),
        });
        if bill.points() == 1 {
            return told.map(|(_, answer)| answer).boxed();
        }
        let state = Some((told.boxed(), payer, self.platform.clone()));
        let dear = stream::unfold(state, move |state| async move {
            let (mut told, payer, platform) = state?;
            let (is_paid, answer) = told.next().await?;
            if is_paid {
                return Some((answer, Some((told, payer, platform))));
            }
            match payer.pay(&platform, bill.points(), None).await {
                Ok(_) => Some((answer, Some((told, payer, platform)))),
                Err(refused) => Some((refused.into_response(), None)),
            }
        });
        dear.boxed()
    }
}
