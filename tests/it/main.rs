//! The suite. One file per room, and the house rules.

mod accounts;
mod attachments;
mod bad_input;
mod clients;
mod edge;
mod guard;
mod house;
mod jobs;
mod limits;
mod mail;
mod main_job;
mod multipart;
mod oidc;
mod oidc_cheats;
mod passwords;
mod process;
mod profile;
mod reminder_acts;
mod reminders;
mod second_factor;
mod sessions;
mod storage;
mod task_lists;
mod tasks;
mod token_attacks;
mod writes;
