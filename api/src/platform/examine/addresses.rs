//! Whether the addresses, origins and cookies fit together, and what is known of the keys. Pure.

use secrecy::ExposeSecret;
use url::Url;

use super::Finding;
use crate::platform::config::{Config, jwt_keys};

/// Looks at what the settings say of addresses and keys. What is plainly wrong has been refused before.
pub fn addresses(config: &Config) -> Vec<Finding> {
    let mut found = vec![front_end(config)];
    found.extend(same_site(config));
    found.push(proxies(config));
    found.push(keys(config));
    found
}

fn front_end(config: &Config) -> Finding {
    let origins = config.allowed_origins();
    let front_end = Url::parse(&config.server.frontend_url).map(|url| url.origin().ascii_serialization());
    match front_end {
        Ok(origin) if origins.contains(&origin) => {
            Finding::ok(format!("addresses: the front end {origin} may call with cookies"))
        }
        Ok(origin) => Finding::fail(
            format!("addresses: the front end {origin} may not call with cookies"),
            "add it to ALLOWED_ORIGINS, or mend FRONTEND_URL",
        ),
        Err(_) => Finding::fail("addresses: FRONTEND_URL is none", "give the front end's https:// address"),
    }
}

/// Cookies with SameSite go to pages of the same site alone. Without the list of public suffixes a site is taken to be what
/// two names share from their second label on.
fn same_site(config: &Config) -> Option<Finding> {
    let host = |url: &str| Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let (api, front) = (host(config.server.public_url.as_deref()?)?, host(&config.server.frontend_url)?);
    let site = |host: &str| host.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let other_site = site(&api) != site(&front);
    (other_site && config.security.cookie_same_site != "None").then(|| {
        let same_site = &config.security.cookie_same_site;
        Finding::warn(
            format!("cookies: {front} and {api} are two sites, and COOKIE_SAMESITE={same_site} keeps cookies from going between"),
            "serve both below one domain, or set COOKIE_SAMESITE=None, or let the front end use tokens",
        )
    })
}

/// This program speaks plain HTTP: where clients use https, something in front of it ends the TLS.
fn proxies(config: &Config) -> Finding {
    let https = config.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
    match config.server.trusted_proxies {
        0 if https => Finding::warn(
            "proxies: TRUSTED_PROXIES=0, but PUBLIC_URL is https, so that something stands in front and all clients have its address",
            "set TRUSTED_PROXIES to the number of proxies that add to X-Forwarded-For, mostly 1",
        ),
        0 => Finding::ok("proxies: none is trusted, X-Forwarded-For is not believed"),
        count => Finding::ok(format!("proxies: the last {count} of X-Forwarded-For are believed")),
    }
}

fn keys(config: &Config) -> Finding {
    let secret = match &config.security.secret_key {
        Some(_) => "SECRET_KEY is set".to_owned(),
        None => format!("SECRET_KEY is the one kept in {}", config.server.data_dir.join("secret.key").display()),
    };
    let signing = match config.security.jwt_keys.as_ref().map(jwt_keys) {
        Some(Ok(keys)) => format!("JWT_KEYS has {}", keys.len()),
        _ => "tokens are signed by a key derived from it".to_owned(),
    };
    let set = config.push.vapid_private_key.as_ref().is_some_and(|key| !key.expose_secret().is_empty());
    let vapid = if set { "VAPID_PRIVATE_KEY is set" } else { "the push key is derived from it" };
    Finding::ok(format!("keys: {secret}, {signing}, {vapid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::examine::Grade;

    fn grades(pairs: &[(&'static str, &str)]) -> Vec<Grade> {
        let config = Config::from_pairs(pairs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        addresses(&config.expect("they can be read")).into_iter().map(|finding| finding.grade).collect()
    }

    #[test]
    fn what_does_not_fit_together_is_found() {
        assert_eq!(grades(&[]), [Grade::Ok, Grade::Ok, Grade::Ok]);
        let https = [("PUBLIC_URL", "https://api.example.org"), ("FRONTEND_URL", "https://app.example.org/start")];
        assert_eq!(grades(&https), [Grade::Ok, Grade::Warn, Grade::Ok], "no proxy is trusted");
        let mut all = https.to_vec();
        all.extend([("TRUSTED_PROXIES", "1"), ("ALLOWED_ORIGINS", "https://other.example.org")]);
        assert_eq!(grades(&all), [Grade::Fail, Grade::Ok, Grade::Ok], "the front end is not let in");
        let two = [
            ("PUBLIC_URL", "https://api.example.net"),
            ("FRONTEND_URL", "https://example.org"),
            ("TRUSTED_PROXIES", "1"),
        ];
        assert_eq!(grades(&two), [Grade::Ok, Grade::Warn, Grade::Ok, Grade::Ok], "two sites");
    }
}
