//! Where the file is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// The file to use: the one that was named, else the first there is of the usual places.
///
/// `variable` looks up the environment.
///
/// # Errors
/// None was named and there is none. That a named one exists is left to [`super::Config::load`].
pub fn locate(
    named: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, ConfigError> {
    if let Some(file) = named {
        return Ok(file.to_owned());
    }
    let of = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = of("XDG_CONFIG_HOME").or_else(|| of("HOME").map(|home| home.join(".config")));
    let mut tried = vec![PathBuf::from("./broadside.toml")];
    tried.extend(user.map(|folder| folder.join("broadside/config.toml")));
    tried.push(PathBuf::from("/etc/broadside/config.toml"));
    match tried.iter().find(|file| file.is_file()) {
        Some(file) => Ok(file.clone()),
        None => Err(ConfigError::NotFound { tried }),
    }
}
