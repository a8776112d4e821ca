//! Redis, as the bus and the limits reach it.
//! Promise: an error never shows the address, which may carry a password; and nobody waits long for a Redis that is away.

use std::time::Duration;

use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret, SecretString};

/// By its address.
///
/// # Errors
/// When it is none; in words for an operator.
pub fn client(url: &SecretString) -> Result<Client, String> {
    Client::open(url.expose_secret()).map_err(|_| "REDIS_URL must be like redis://host:6379/0".into())
}

/// A connection that is made when it is needed and made anew when it is lost; nothing waits longer than this.
///
/// # Errors
/// When the client cannot be used; in words for an operator.
pub fn connect(client: Client, patience: Duration) -> Result<ConnectionManager, String> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_secs(1))
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    ConnectionManager::new_lazy_with_config(client, config)
        .map_err(|error| format!("REDIS_URL cannot be used: {}", error.category()))
}
