//! `combu report`: a page that shows runs, as one file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::chosen::TrialFilter;
use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::look::gathered::Gathered;
use crate::cli::time::now;
use crate::cli::ui::Ui;
use crate::cli::which::{no_events, runs};
use crate::model::name::{Name, RunId};
use crate::page::{self, PageRun, TOLD};
use crate::report::style::{bytes, clean, counted};
use crate::store::Kinds;

/// Write a page that shows runs: one HTML file for any browser, which needs no network, no server and no account.
///
/// The page has a summary in words, a table of the trials, curves of their metrics, plots of params against metrics, which
/// params matter, a timeline, what was used of what was asked for, the failures with the ends of their logs, and where the run
/// came from. A filter, and what is marked in a plot, counts for all of them. The run is the one that is named; else the one
/// that is live in this project, else the last. Results of a rerun are those of the whole experiment, the newest of each
/// trial. The file holds what the trials wrote and the sources of the spec: look at it before you send it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu report                          report.html, of the live run or the last one
  combu report k3jd -o sweep.html
  combu report k3jd a81x                two runs side by side
  combu report --where 'params.lr > 0.1'
  combu report -o - | ssh desk 'cat > report.html'")]
pub(crate) struct ReportArgs {
    /// Runs, trials, or `RUN/TRIAL`: a run is the beginning of its id, or `last`; a trial is a name, or a pattern.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// The file; one that is there is replaced. `-`: standard output.
    #[arg(short = 'o', long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,

    /// Only the trials that failed.
    #[arg(long)]
    failed: bool,

    /// Only the trials that this expression is true of; see `combu run`. `metrics.NAME` is a metric's last value.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,
}

pub(crate) fn main(file: Option<&Path>, args: &ReportArgs, ui: &Ui) -> Result<u8, CliError> {
    let filter = TrialFilter::new(args.failed, args.filter.as_deref())?;
    let gathered = Gathered::read(file, &args.what, &filter, ui)?;
    let count = gathered.results().len();
    let first = &gathered.runs[gathered.asked[0]].0.run;
    if gathered.runs.iter().all(|(_, history)| !history.has_begun()) {
        return Err(no_events(first));
    }
    let title = format!("{} {}", clean(&first.record.experiment), first.record.run);
    let mut wanted: BTreeMap<usize, BTreeSet<Name>> = BTreeMap::new();
    for (place, result) in gathered.results() {
        wanted.entry(place).or_default().insert(result.trial.name.clone());
    }
    let mut whole = Vec::new();
    for (place, (shown, history)) in gathered.runs.into_iter().enumerate() {
        let wanted = wanted.remove(&place).unwrap_or_default();
        // A run of which every trial was repeated has nothing to show.
        if wanted.is_empty() && !gathered.asked.contains(&place) {
            continue;
        }
        let (head, provenance) = (shown.page_head(&history), shown.page_provenance()?);
        let mut lenders: HashMap<RunId, BTreeSet<Name>> = HashMap::new();
        for result in &history.summary.results {
            if let Some(run) = &result.reused {
                lenders.entry(run.clone()).or_default().insert(result.trial.name.clone());
            }
        }
        let mut page = PageRun::of(history);
        for (lender, lent) in lenders {
            let Some(past) = runs(file, Some(lender.as_str()), ui)?.past.pop() else { continue };
            past.follow().read(Kinds::Only(&TOLD), |event| {
                if event.fact.trial().is_some_and(|trial| lent.contains(trial)) {
                    page.add_told(&event);
                }
            })?;
        }
        shown.run.follow().read(Kinds::Only(&TOLD), |event| page.add_told(&event))?;
        let status = |result: &_, summary: &_| shown.status(result, summary);
        whole.push(page.whole(&head, &provenance, status, |result| wanted.contains(&result.trial.name)));
    }
    let text = page::page(&title, Some(&page::patch(now(), whole)), None);
    if args.output == Path::new("-") {
        ui.result(&text)?;
        return Ok(exit::OK);
    }
    write(&args.output, &text).map_err(|error| {
        CliError::new(exit::USAGE, format!("{} cannot be written: {error}", short_path(&args.output)))
            .hint("`-o FILE` says where the page goes")
    })?;
    let size = bytes(text.len() as u64);
    ui.message(&format!("{}: {}, {size}; open it in a browser", short_path(&args.output), counted(count, "trial")));
    Ok(exit::OK)
}

/// Writes the page aside and moves it into place, so that a browser never reads half of it. What is no file, such as
/// `/dev/stdout`, is written to as it is; a link leads to what is replaced.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().write(true).open(&path)?.write_all(text.as_bytes());
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let aside = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    let written = File::create(&aside).and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| fs::rename(&aside, &path)).inspect_err(|_| {
        // Half a page helps nobody.
        let _absent = fs::remove_file(&aside);
    })
}
