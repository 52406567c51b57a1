//! The page that shows runs in a browser: one HTML file that needs nothing else, for `combu report`, and the same page kept up
//! to date for `combu serve`.
//!
//! What the page shows is data in one form, a patch: the runs, of each the trials that changed, and the new values of its
//! curves. A report is the page with one patch of everything; a served page asks for it, and for those that follow. The page
//! itself, in `web/`, is plain JavaScript, which combu joins into the file.

mod curves;
mod html;
mod run;

pub use html::{Serving, page};
pub use run::{PageHead, PageRun, TOLD, patch};
