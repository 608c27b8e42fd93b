//! Keeps web pages away from the admin listener: a page may point a name of its own at this machine (DNS rebinding)
//! and call as "same origin", but not without naming that name in `Host`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::HOST;
use http::uri::Authority;

use super::error::ApiError;

/// The routes as the admin listener offers them: for requests to an address, to `localhost`, or to one of `hosts`.
/// Any other is answered 421. An address cannot be rebound, so whichever was dialled is good.
pub fn on_admin_listener(router: Router, hosts: &[String]) -> Router {
    let hosts: Arc<[String]> = hosts.into();
    router.layer(from_fn_with_state(hosts, check))
}

async fn check(State(hosts): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let in_target = request.uri().authority().map(Authority::as_str);
    let is_ours = named.is_some_and(|host| is_known(host, &hosts));
    if is_ours && in_target.is_none_or(|host| is_known(host, &hosts)) {
        return next.run(request).await;
    }
    let message = "this listener does not answer to that name; add it to admin.hosts if it should";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "host_refused", message).into_response()
}

fn is_known(host: &str, hosts: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_address = address.parse::<IpAddr>().is_ok();
    let has_user = host.contains('@');
    !has_user
        && (is_address
            || name.eq_ignore_ascii_case("localhost")
            || hosts.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_configured_names_are_known() {
        let hosts = ["relay.internal".to_owned()];
        for good in
            ["127.0.0.1", "127.0.0.1:8081", "[::1]:8081", "10.1.2.3", "LOCALHOST:1", "relay.internal:80"]
        {
            assert!(is_known(good, &hosts), "{good}");
        }
        for bad in
            ["", "evil.example", "localhost.evil.example", "a@localhost", "127.0.0.1.nip.io", "::1", "a b"]
        {
            assert!(!is_known(bad, &hosts), "{bad}");
        }
    }
}
