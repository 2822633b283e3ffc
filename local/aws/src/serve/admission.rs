//! Refuses requests that a web page of another origin makes a browser send.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Request};

use crate::clients::is_loopback_host;

/// Why a request is refused before anything else is done with it, as a sentence. `is_open` says that
/// requests are not signed.
pub(super) fn find_refusal<B>(request: &Request<B>, is_open: bool) -> Option<&'static str> {
    if is_open && !names_this_machine(request) {
        Some("only requests to this machine by its own name are answered")
    } else if is_cross_origin(request.headers()) {
        Some("a web page of another origin sent this request; only this server's own pages may")
    } else {
        None
    }
}

/// Whether the request's host is this machine. A web page can let its own name resolve to 127.0.0.1,
/// and the browser would let it read every answer; such requests have that name as their host.
fn names_this_machine<B>(request: &Request<B>) -> bool {
    let header = request.headers().get(HOST);
    let header = header.and_then(|value| value.to_str().ok());
    let authority = header.and_then(|host| host.parse().ok());
    let authority = authority.or_else(|| request.uri().authority().cloned());
    authority.is_some_and(|authority: http::uri::Authority| is_loopback_host(authority.host()))
}

/// Whether a page of another origin sent the request. A page may post a form to any address;
/// browsers then add headers that no page can set and no SDK sends.
fn is_cross_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST);
    let host = host.map_or(&b""[..], HeaderValue::as_bytes);
    let is_own = |origin: &HeaderValue| {
        let authority = origin.as_bytes().strip_prefix(b"http://");
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    let is_safe = |site: &HeaderValue| site == "same-origin" || site == "none";
    let mut origins = headers.get_all(ORIGIN).iter();
    let mut sites = headers.get_all("sec-fetch-site").iter();
    !(origins.all(is_own) && sites.all(is_safe))
}
