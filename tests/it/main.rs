//! The suite. One file per room, and the house rules.

mod accounts;
mod bad_input;
mod clients;
mod edge;
mod guard;
mod house;
mod jobs;
mod limits;
mod mail;
mod main_job;
mod oidc;
mod oidc_cheats;
mod passwords;
mod process;
mod profile;
mod reminders;
mod second_factor;
mod sessions;
mod task_lists;
mod tasks;
mod token_attacks;
mod writes;
