//! An S3 that is not ours (moto), behind a switch that takes it away.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::process::root;

/// A program of the tests' Python.
pub fn python(program: &str) -> PathBuf {
    let path = root().join("tests/python/.venv/bin").join(program);
    assert!(path.is_file(), "{} is missing: tests/run installs it", path.display());
    path
}

struct Moto {
    port: u16,
    /// A shell that ends it when we are gone and its input closes.
    _shell: Child,
}

/// One for all cases of a run; each has a bucket of its own.
static MOTO: OnceLock<Moto> = OnceLock::new();

fn moto() -> u16 {
    MOTO.get_or_init(|| start_moto("")).port
}

fn start_moto(options: &str) -> Moto {
    let port = crate::redis::quiet_port();
    let program = python("moto_server").display().to_string();
    let script = format!(
        "{program} -H 127.0.0.1 -p {port} {options} >/dev/null 2>&1 & pid=$!; cat >/dev/null; kill -9 $pid; wait $pid"
    );
    let mut shell = Command::new("sh");
    let shell =
        shell.args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a shell starts");
    let began = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed().as_secs() < 60, "moto does not listen");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Moto { port, _shell: shell }
}

/// One of its own behind TLS, with a certificate that no browser knows.
pub struct Private {
    moto: Moto,
    folder: PathBuf,
}

impl Private {
    /// Makes the certificates in a folder, and starts it with them.
    pub fn start(folder: &Path) -> Self {
        let mut made = Command::new(python("python"));
        let made = made.arg(root().join("tests/python/certificates.py")).arg(folder).status().expect("python runs");
        assert!(made.success(), "the certificates are made");
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let moto = start_moto(&format!("-s -c {} -k {}", cert.display(), key.display()));
        Self { moto, folder: folder.to_owned() }
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.moto.port)
    }

    /// One of its files: `ca.pem` is the authority's own certificate, `cert.pem` and `key.pem` are the server's.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// The way to it.
pub struct S3 {
    /// Where it is reached.
    pub endpoint: String,
    /// A bucket of one's own.
    pub bucket: String,
    away: watch::Sender<bool>,
    proxy: JoinHandle<()>,
}

impl S3 {
    /// Starts it where it does not run yet.
    pub async fn start() -> Self {
        let behind = tokio::task::spawn_blocking(moto).await.expect("moto starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let away = watch::Sender::new(false);
        let state = away.subscribe();
        let proxy = tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    if *state.borrow() {
                        return;
                    }
                    let Ok(mut there) = TcpStream::connect(("127.0.0.1", behind)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                        _ = state.wait_for(|away| *away) => {}
                    }
                });
            }
        });
        Self { endpoint: format!("http://127.0.0.1:{port}"), bucket: format!("bucket-{port}"), away, proxy }
    }

    /// Takes it away, or brings it back.
    pub fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}
