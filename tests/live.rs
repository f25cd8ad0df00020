//! Real clusters on a real engine: skipped, with the reason, where there is none or where its images are missing.
//!
//! One test at a time: they share the machine. Each has a home of its own and names that no other run uses, removes what
//! it made by that name, and touches nothing else on the engine. The tests that end the engine itself run only where that is
//! safe; `restart` says when.

mod engines;
mod faults;
mod images;
mod k3s;
mod kwok;
mod leftovers;
mod proxy;
mod registry;
mod requests;
mod restart;
mod secure;
mod stage;
mod together;
mod vanilla;
