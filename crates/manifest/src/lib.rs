//! A job as a value: all that it computes with under one hash ([`value`], [`bytes`], [`table`]), what a chain's job commits of it ([`commits`], [`check`]), what a run's
//! settings make ([`settings`], [`recipe`]), what is computed with ([`prepare`], [`exchange`]), where its files lie ([`folder`], [`place`]), and what computes it
//! ([`machine`], [`stop`]). Nobody here has a name, a key or money.

pub mod bytes;
pub mod check;
pub mod commits;
pub mod example;
pub mod exchange;
pub mod folder;
pub mod machine;
pub mod place;
pub mod prepare;
pub mod recipe;
pub mod roles;
pub mod settings;
pub mod staged;
pub mod steered;
pub mod stop;
pub mod table;
pub mod tokenizer;
pub mod value;
