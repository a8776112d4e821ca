//! Redis: whether it answers, is new enough, runs the scripts that count, and carries a message to whoever listens.

use futures_util::StreamExt;
use redis::{Client, ErrorKind, RedisError, Script, aio::MultiplexedConnection};
use secrecy::ExposeSecret;
use tokio::time::timeout;
use url::Url;

use super::{Finding, PATIENCE};
use crate::platform::{
    config::{Config, is_this_machine},
    random::Random,
    remote,
    secret::hex,
};

/// What counters and scripts need.
const OLDEST: u32 = 6;

/// What the scripts of the limits do, with a key of our own. It is gone at the end, or after ten seconds.
const PROBE: &str = "
redis.call('HSET', KEYS[1], 'count', 0)
redis.call('PEXPIRE', KEYS[1], 10000)
redis.call('HINCRBY', KEYS[1], 'count', 1)
local count = redis.call('HMGET', KEYS[1], 'count')[1]
redis.call('PEXPIRE', KEYS[1], 0)
return tonumber(count)";

/// Looks at Redis.
pub async fn redis(config: &Config, random: &Random) -> Vec<Finding> {
    let Some(url) = &config.shared.redis_url else {
        let alone = !config.database.is_postgres();
        return vec![if alone {
            Finding::ok("redis: none is needed by one process on SQLite")
        } else {
            Finding::warn(
                "redis: REDIS_URL is not set, so that several instances hear of each other late and count by themselves",
                "set REDIS_URL if there is more than one instance",
            )
        }];
    };
    let client = match remote::client(url) {
        Ok(client) => client,
        Err(problem) => return vec![Finding::fail("redis: REDIS_URL cannot be used", problem)],
    };
    let channel = format!("{}:doctor:{}", config.shared.redis_prefix, hex(&random.bytes::<8>()));
    let mut found = match timeout(PATIENCE, look(&client, &channel)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => vec![broken(&error)],
        Err(_) => vec![Finding::fail(
            format!("redis: it did not answer within {} s", PATIENCE.as_secs()),
            "look at host and port of REDIS_URL, and at what lies between",
        )],
    };
    found.extend(underway(url.expose_secret()));
    found
}

/// Whether what is said to it, the password first of all, can be read on the way there. None: it cannot.
fn underway(url: &str) -> Option<Finding> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "redis")?;
    let far = url.host_str().is_some_and(|host| !is_this_machine(host));
    far.then(|| {
        Finding::warn(
            "redis: the connection is not encrypted",
            "use rediss://…, unless the network between is yours alone",
        )
    })
}

async fn look(client: &Client, channel: &str) -> Result<Vec<Finding>, RedisError> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    let about: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let version = about.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown").trim();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let mut found = vec![match major {
        Some(..OLDEST) => Finding::fail(format!("redis: it is version {version}"), format!("take {OLDEST} or newer")),
        _ => Finding::ok(format!("redis: version {version} answers")),
    }];
    found.push(scripts(&mut connection, channel).await);
    let (mut sink, mut messages) = client.get_async_pubsub().await?.split();
    sink.subscribe(channel).await?;
    redis::cmd("PUBLISH").arg(channel).arg("heard").query_async::<()>(&mut connection).await?;
    let heard = timeout(PATIENCE / 2, messages.next()).await;
    found.push(match heard {
        Ok(Some(message)) if message.get_payload::<String>()? == "heard" => {
            Finding::ok("redis: what is published is heard")
        }
        _ => Finding::fail(
            "redis: what is published is not heard",
            "let REDIS_URL lead to a server, not to a proxy without SUBSCRIBE",
        ),
    });
    Ok(found)
}

/// Whether tries and points can be counted together with the other instances.
async fn scripts(connection: &mut MultiplexedConnection, key: &str) -> Finding {
    let counted = Script::new(PROBE).key(key).invoke_async::<u64>(connection).await;
    let why = match &counted {
        Ok(1) => return Finding::ok("redis: scripts run, so that limits count on all instances together"),
        Ok(_) => "they count wrong",
        Err(error) => error.code().unwrap_or_else(|| error.category()),
    };
    Finding::fail(
        format!("redis: scripts do not run ({why}), so that each instance counts limits by itself"),
        "let this user use EVALSHA, SCRIPT LOAD, HSET, HGET, HMGET, HINCRBY and PEXPIRE on the keys REDIS_PREFIX:*",
    )
}

/// Without the error's own words: they may show the address, which may carry a password.
fn broken(error: &RedisError) -> Finding {
    let refused =
        error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
    let mend = match (refused, error.code()) {
        (true, _) => "mend user and password of REDIS_URL",
        (_, Some("NOPERM")) => {
            "let this user use INFO, PUBLISH, SUBSCRIBE and scripts, on keys and channels of REDIS_PREFIX"
        }
        _ => "start it, or mend host and port of REDIS_URL",
    };
    Finding::fail(format!("redis: it cannot be used ({})", error.category()), mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::examine::Grade;

    #[test]
    fn what_can_be_read_underway_is_told() {
        let told = |url| underway(url).map(|finding| finding.grade);
        assert_eq!(told("redis://:password@redis.example.org:6379/0"), Some(Grade::Warn));
        for fine in ["rediss://redis.example.org", "redis://127.0.0.1:6379", "redis://[::1]:6379", "redis://localhost"]
        {
            assert_eq!(told(fine), None, "{fine}");
        }
    }
}
