//! Files below `/proc/sys` and `/sys`.

use super::{Cannot, Finding, Host, Knob};
use crate::edge::tune::how::File;

impl Knob for File {
    fn look(&self, _host: &Host) -> Vec<Finding> {
        Vec::new()
    }

    fn read(&self, _host: &Host, place: &str) -> Result<String, Cannot> {
        Err(Cannot::Missing(place.to_owned()))
    }

    fn write(&self, _host: &Host, place: &str, _value: &str) -> Result<(), Cannot> {
        Err(Cannot::Missing(place.to_owned()))
    }
}
