//! A job as a value: what it computes ([`settings`], [`prepare`], [`exchange`]), whether a chain's job is that ([`check`]), where its files lie
//! ([`folder`], [`place`]), and what computes it ([`machine`], [`stop`]). Nobody here has a name, a key or money.

pub mod check;
pub mod exchange;
pub mod folder;
pub mod machine;
pub mod place;
pub mod prepare;
pub mod roles;
pub mod settings;
pub mod steered;
pub mod stop;
