//! Datasets.

pub mod register_dataset;
