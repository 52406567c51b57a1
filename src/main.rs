//! combu
fn main() {}
