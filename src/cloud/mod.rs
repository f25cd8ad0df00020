//! Services of clouds, spoken natively over HTTP.
//!
//! Here are clients and where their credentials come from. What is asked of them is decided elsewhere.

pub mod kms;
