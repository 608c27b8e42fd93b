//! The programs under everything that can go wrong, and a ledger of what became of every webhook.
//!
//! [`storm`] runs a server, an agent and an app while senders send, kills and stops each of them, cuts the network
//! between them and takes the power away; [`ledger`] then says what was promised and what was kept. [`writes`] lets
//! every single write and sync of a short life fail once. [`House`] is what they stand on.

pub mod app;
mod arrangement;
pub mod house;
pub mod journal;
pub mod ledger;
mod sender;
pub mod storm;
pub mod writes;

pub use house::House;
pub use ledger::Ledger;
pub use storm::{Power, Storm};
