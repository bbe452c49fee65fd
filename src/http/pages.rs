//! The dashboard's files, inside the program.
use super::answer::Answer;
use super::parse::Verb;
use super::{BASE, routes};
use crate::model::fault::{Code, Fault};

/// Path, type, content.
macro_rules! files {
    ($($name:literal $kind:ident,)*) => {
        const FILES: &[(&str, &str, &[u8])] = &[
            ("/", HTML, include_bytes!("../../static/index.html")),
            $((concat!("/", $name), $kind, include_bytes!(concat!("../../static/", $name))),)*
        ];
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

files! {
    "tokens.css" STYLE,
    "app.css" STYLE,
    "parts.css" STYLE,
    "icon.svg" PICTURE,
    "theme.js" SCRIPT,
    "app.js" SCRIPT,
    "actions.js" SCRIPT,
    "ages.js" SCRIPT,
    "ansi.js" SCRIPT,
    "api.js" SCRIPT,
    "badge.js" SCRIPT,
    "chart.js" SCRIPT,
    "console.js" SCRIPT,
    "dialog.js" SCRIPT,
    "dom.js" SCRIPT,
    "empty.js" SCRIPT,
    "events.js" SCRIPT,
    "farm.js" SCRIPT,
    "figures.js" SCRIPT,
    "format.js" SCRIPT,
    "history.js" SCRIPT,
    "logview.js" SCRIPT,
    "nodes.js" SCRIPT,
    "overview.js" SCRIPT,
    "profileform.js" SCRIPT,
    "profiles.js" SCRIPT,
    "rig.js" SCRIPT,
    "rigs.js" SCRIPT,
    "router.js" SCRIPT,
    "settings.js" SCRIPT,
    "store.js" SCRIPT,
    "table.js" SCRIPT,
    "toast.js" SCRIPT,
}

/// What is not in the route table: a file, or nothing.
pub fn answer(verb: Verb, path: &str) -> Answer {
    let Some((_, kind, content)) = FILES.iter().find(|(at, ..)| *at == path) else {
        let fault = Fault::new(Code::RouteNotFound, "there is nothing at this address");
        return Answer::fault(
            &fault.hint(format!("the API is under {BASE}; GET /openapi.json describes it")),
        );
    };
    if matches!(verb, Verb::Get | Verb::Head) {
        Answer::page(200, kind, content)
    } else {
        routes::wrong_method(vec!["GET", "HEAD"])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::FILES;

    const LARGEST: usize = 200 * 1024;
    const LINES: usize = 400;

    fn text(content: &[u8]) -> &str {
        std::str::from_utf8(content).unwrap()
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
        let mut there: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("/{}", entry.unwrap().file_name().to_str().unwrap()))
            .map(|name| if name == "/index.html" { "/".to_owned() } else { name })
            .collect();
        let mut embedded: Vec<_> = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        there.sort();
        embedded.sort();
        assert_eq!(embedded, there);
    }

    #[test]
    fn the_pages_are_small() {
        let whole: usize = FILES.iter().map(|(.., content)| content.len()).sum();
        assert!(whole <= LARGEST, "{whole} bytes");
        for (path, _, content) in FILES.iter().filter(|(path, ..)| path.ends_with(".js")) {
            let lines = text(content).lines().count();
            assert!(lines <= LINES, "{path} has {lines} lines");
        }
    }

    /// Text from rigs goes in as text alone, and the Content-Security-Policy has nothing to refuse.
    #[test]
    fn nothing_is_read_as_markup_or_fetched_from_elsewhere() {
        for (path, _, content) in FILES {
            let content = text(content);
            for bad in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!content.contains(bad), "{path}: {bad}");
            }
            let elsewhere = content.replace("http://www.w3.org/", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path}");
            assert!(!path.ends_with(".css") || !content.contains("url("), "{path}: url(");
        }
        let page = text(FILES[0].2);
        assert!(
            !page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick")
        );
        assert!(page.matches("<script").count() == page.matches("<script src=").count() + 1);
        assert!(page.contains("<script type=\"module\" src=\"app.js\"></script>"));
    }

    /// Without these the browser would learn of one module after another.
    #[test]
    fn the_page_preloads_modules_that_are_there() {
        let page = text(FILES[0].2);
        let wanted = page.split("modulepreload\" href=\"").skip(1);
        for name in wanted.map(|rest| rest.split('"').next().unwrap()) {
            assert!(FILES.iter().any(|(path, ..)| path.strip_prefix('/') == Some(name)), "{name}");
        }
    }
}
