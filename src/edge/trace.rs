//! What the kernel saw of our blocks.

mod sends;
mod thefts;
