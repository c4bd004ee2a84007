//! The demonstration page: log in, see the token, open it twice. The binary embeds it from `sdk/web/demo`; `make web`
//! builds the scripts in `sdk/web/demo/dist`.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

/// One file of the page.
struct File {
    path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

static FILES: [File; 4] = [
    File {
        path: "/",
        media_type: "text/html; charset=utf-8",
        content: include_str!("../../sdk/web/demo/index.html"),
    },
    File {
        path: "/style.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("../../sdk/web/demo/style.css"),
    },
    File {
        path: "/main.js",
        media_type: JAVASCRIPT,
        content: include_str!("../../sdk/web/demo/dist/main.js"),
    },
    File {
        path: "/countersign.js",
        media_type: JAVASCRIPT,
        content: include_str!("../../sdk/web/demo/dist/countersign.js"),
    },
];

/// The page and what it loads: [`super::HttpOptions::pages`] of a service that shows it.
pub fn demonstration() -> super::Pages {
    FILES.iter().fold(Router::new(), |router, file| router.route(file.path, get(async move || answer(file))))
}

fn answer(file: &File) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(file.media_type))], file.content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_page_loads_is_served() {
        let served = |path: &str| FILES.iter().any(|file| file.path.trim_start_matches('/') == path);
        for (before, files) in [("href=\"", &FILES[..1]), ("src=\"", &FILES[..1]), ("from \"./", &FILES[1..])]
        {
            for file in files {
                for (start, _) in file.content.match_indices(before) {
                    let loaded = &file.content[start + before.len()..];
                    let loaded = loaded.split('"').next().unwrap();
                    assert!(loaded.starts_with("data:") || served(loaded), "{}: {loaded}", file.path);
                }
            }
        }
    }
}
