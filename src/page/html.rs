//! The page as one HTML file: its parts joined, its data beside them, and a policy that lets it load nothing else.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

const SKELETON: &str = include_str!("web/index.html");

macro_rules! parts {
    ($($file:literal),* $(,)?) => {
        [$(include_str!(concat!("web/", $file))),*]
    };
}

/// Styles, in their order.
const STYLES: [&str; 4] = parts!["page.css", "parts.css", "plots.css", "paper.css"];

/// The page's code, in its order: one module, so that every name in it is one of all files.
const CODE: [&str; 24] = parts![
    "dom.js",
    "store.js",
    "expression.js",
    "evaluate.js",
    "columns.js",
    "view.js",
    "scale.js",
    "colouring.js",
    "canvas.js",
    "summary.js",
    "table.js",
    "details.js",
    "curves.js",
    "heads.js",
    "parallel.js",
    "scatter.js",
    "pivot.js",
    "importance.js",
    "timeline.js",
    "resources.js",
    "failures.js",
    "provenance.js",
    "live.js",
    "main.js",
];

/// That the page is served, and goes on being told what is new.
#[derive(Debug, Clone, Copy)]
pub struct Serving {
    /// Whether whoever looks may also stop and retry trials.
    pub has_control: bool,
}

/// The page. `data` is the patch it begins with; a served one asks for it.
pub fn page(title: &str, data: Option<&Value>, serving: Option<Serving>) -> String {
    let (style, code) = (STYLES.join("\n"), CODE.join("\n"));
    let connect = if serving.is_some() { "'self'" } else { "'none'" };
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data: blob:; connect-src {connect}; base-uri 'none'; \
         form-action 'none'",
        hash(&code),
        hash(&style)
    );
    let mut head = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">");
    if let Some(Serving { has_control }) = serving {
        head.push_str("\n<meta name=\"combu-live\" content=\"1\">");
        if has_control {
            head.push_str("\n<meta name=\"combu-control\" content=\"1\">");
        }
    }
    let data = data.map(|data| {
        // Whatever stands in a text, it closes no element: JSON has another way to write the sign.
        let text = data.to_string().replace('<', "\\u003c");
        format!("<script type=\"application/json\" id=\"data\">{text}</script>")
    });
    let parts = [
        ("<!--meta-->", head),
        ("<title>combu</title>", format!("<title>{}</title>", escaped(title))),
        ("<!--style-->", format!("<style>{style}</style>")),
        // The code before the data, which may say anything.
        ("<!--script-->", format!("<script type=\"module\">{code}</script>")),
        ("<!--data-->", data.unwrap_or_default()),
    ];
    parts.into_iter().fold(SKELETON.to_owned(), |page, (mark, part)| page.replacen(mark, &part, 1))
}

/// The hash of a text as a policy has it.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CODE, SKELETON, STYLES, Serving, page};

    #[test]
    fn a_page_holds_its_data_and_lets_nothing_else_in() {
        let data = json!({"runs": [], "text": "</script><!--script--><img src=x onerror=alert(1)>"});
        let text = page("a <b> & \"c\"", Some(&data), None);
        assert!(text.contains("<title>a &lt;b> &amp; &quot;c&quot;</title>"));
        let (_, rest) = text.split_once("id=\"data\">").unwrap();
        let (json, _) = rest.split_once("</script>").unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(json).unwrap(), data);
        assert!(text.contains("default-src 'none'; script-src 'sha256-") && text.contains("connect-src 'none'"));
        assert!(!text.contains("<meta name=\"combu-live\"") && !text.contains("<img src=x"));
    }

    #[test]
    fn a_served_page_asks_for_its_data() {
        let text = page("runs", None, Some(Serving { has_control: false }));
        let control = "<meta name=\"combu-control\"";
        assert!(text.contains("connect-src 'self'") && text.contains("<meta name=\"combu-live\""));
        assert!(!text.contains(control));
        assert!(!text.contains("id=\"data\""));
        assert!(page("runs", None, Some(Serving { has_control: true })).contains(control));
    }

    #[test]
    fn the_parts_are_all_that_lie_in_the_folder_and_none_can_end_its_element() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/web");
        let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
        assert_eq!(files.count(), CODE.len() + STYLES.len() + 1, "a file that no page holds");
        for part in CODE.iter().chain(&STYLES) {
            let low = part.to_lowercase();
            assert!(!low.contains("</script") && !low.contains("<!--") && !low.contains("</style"));
        }
        for mark in ["<!--meta-->", "<title>combu</title>", "<!--style-->", "<!--data-->", "<!--script-->"] {
            assert_eq!(SKELETON.matches(mark).count(), 1, "{mark}");
        }
    }
}
