//! `spacedly seed`: example people whose last months have already happened, so that there is something to look at.
//! Promise: everything is done by the rooms' own acts with the clock moved back, so that whatever holds of real people
//! holds of these; nothing is mailed or pushed by it; a person is made whole or not at all.
//!
//! It is refused in production, whatever is said: people with a password that everybody knows have no place there, and
//! their reminders would go out by the real mail server. A copy of production with ENVIRONMENT=development does.

mod dice;
mod life;
mod live;
mod words;

use clap::Args;

use self::{dice::Dice, life::Life, live::Lived};
use crate::{
    app::{App, Handed},
    platform::{
        clock::Clock,
        config::Config,
        error::{Fault, Refusal},
        telemetry,
    },
};

/// What is made.
#[derive(Clone, Args)]
pub(super) struct Wish {
    /// How many people.
    #[arg(long, default_value_t = 1)]
    users: usize,
    /// How many tasks each has.
    #[arg(long, default_value_t = 40)]
    tasks: usize,
    /// The password of all of them.
    #[arg(long, default_value = "lovely weather for reminders")]
    password: String,
    /// The same number makes the same people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Makes them, and prints who they are.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn run(config: Config, wish: Wish) -> Result<(), String> {
    if config.is_production() {
        return Err("seed makes people with a password that everybody knows: never in production".into());
    }
    telemetry::start(&config)?;
    let clock = Clock::default();
    let app = App::build(config, Handed { clock: clock.clone(), observer: None }).await?;
    app.migrate().await?;
    let password_hash = app.accounts.hash_for_examples(wish.password.clone()).await.map_err(in_words)?;
    let mut candidate = 0;
    for number in 0..wish.users {
        let life = Life::of(&mut Dice::new(wish.seed, number), clock.now(), wish.tasks);
        let parts = app.platform.clone();
        let hash = password_hash.clone();
        let lived = app.platform.db.write(move |tx| live::live(parts, tx, hash, life, candidate)).await;
        clock.advance(-clock.offset());
        let Lived { email, tasks, reminders, next_candidate } = lived.map_err(in_words)?;
        candidate = next_candidate;
        println!("{email}: {tasks} tasks, {reminders} reminders");
    }
    println!("The password of all of them: {}", wish.password);
    Ok(())
}

/// Why it was not done, for who asked for it.
fn in_words(refusal: Refusal) -> String {
    match refusal {
        Refusal::User(errors) => {
            let words = errors.iter().map(|error| format!("{}: {}", error.path.join("."), error.message));
            words.collect::<Vec<_>>().join("; ")
        }
        Refusal::Fault(Fault::Unavailable(cause) | Fault::Internal(cause)) => cause,
        Refusal::Fault(fault) => format!("{fault:?}"),
    }
}
