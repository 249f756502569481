//! Models, tokenizers, files of other tools, training.

mod decode;
mod fine_tuning;
mod foreign;
mod reference;
mod sampling;
mod smollm2;
mod training;
mod update;
