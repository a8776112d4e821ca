//! The suite. One file per room, and the house rules.

mod accounts;
mod bad_input;
mod clients;
mod edge;
mod guard;
mod house;
mod jobs;
mod mail;
mod main_job;
mod process;
mod reminders;
mod tasks;
mod writes;
