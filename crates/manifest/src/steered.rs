//! Steered settings as people read them.

use sip_protocol::training::setting::{SETTING_ONE, Setting};

/// A setting's name, with hyphens; one that only the job's graph knows is named by its number.
pub fn name(setting: &Setting) -> String {
    setting.known_name().map_or_else(|| format!("setting-{}", setting.meaning), str::to_owned)
}

/// A value as a number.
pub fn scale(value: u32) -> f64 {
    f64::from(value) / f64::from(SETTING_ONE)
}

/// A value in four digits after the point.
pub fn show(value: u32) -> String {
    format!("{:.4}", scale(value))
}
