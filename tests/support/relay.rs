//! A relay in front of a server, which can make it fall silent: connections stay open, and nothing comes through.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The running relay; ends when dropped.
pub struct Relay {
    /// Where it listens.
    pub port: u16,
    is_silent: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Relay {
    /// Starts one to a port of this machine.
    pub async fn to(behind: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let is_silent = watch::Sender::new(false);
        let state = is_silent.clone();
        let listening = tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let Ok(there) = TcpStream::connect(("127.0.0.1", behind)).await else { continue };
                let ((from_here, to_here), (from_there, to_there)) = (here.into_split(), there.into_split());
                tokio::spawn(pass(from_here, to_there, state.subscribe()));
                tokio::spawn(pass(from_there, to_here, state.subscribe()));
            }
        });
        Self { port, is_silent, listening }
    }

    /// Lets nothing through from now on, or everything again.
    pub fn set_silent(&self, silent: bool) {
        self.is_silent.send_replace(silent);
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut is_silent: watch::Receiver<bool>,
) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if is_silent.wait_for(|silent| !silent).await.is_err() || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
