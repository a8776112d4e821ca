//! A private Redis for this test process, on a free port, in memory only. It ends with the process, however that ends.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// A running Redis; ends when dropped.
pub struct Redis {
    /// Where it listens.
    pub port: u16,
    guardian: Option<(Child, ChildStdin)>,
}

/// The Redis of this process, started at first use.
pub fn redis() -> &'static Redis {
    static REDIS: OnceLock<Redis> = OnceLock::new();
    REDIS.get_or_init(Redis::start)
}

impl Redis {
    /// Starts one of its own, which a case may stop and start again.
    pub fn start() -> Self {
        let mut redis = Self { port: quiet_port(), guardian: None };
        redis.resume();
        redis
    }

    /// Starts it again on the same port, empty.
    pub fn resume(&mut self) {
        // The shell waits for the end of its input, which is the end of this process at the latest.
        let script = format!(
            "redis-server --port {} --bind 127.0.0.1 --save '' --appendonly no --daemonize no >/dev/null 2>&1 & \
             pid=$!; cat >/dev/null; kill -9 $pid; wait $pid",
            self.port
        );
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir("/").stdin(Stdio::piped()).process_group(0);
        let mut shell = shell.spawn().expect("sh runs");
        let input = shell.stdin.take().expect("piped");
        let began = std::time::Instant::now();
        while !answers(self.port) {
            assert!(
                began.elapsed().as_secs() < 20,
                "redis-server does not start: apt-get install redis-server (tests/run does it). Cases that need it \
                 count as failed, not as skipped."
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.guardian = Some((shell, input));
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some((mut shell, input)) = self.guardian.take() {
            drop(input);
            shell.wait().expect("gone");
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

/// A free port below those that the system hands out: nobody takes it before a server listens there, or while it is
/// stopped for a while.
pub fn quiet_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 15_000 + (std::process::id() % 15_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether a Redis answers there, and not just anybody.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 5];
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG"
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
