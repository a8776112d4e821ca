//! A mail server for the fault runs (RFC 5321, as much as a client needs): it keeps every mail that it takes, knows which
//! process sent it, and misbehaves as it is told to.

use std::{
    process::Command,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{oneshot, watch},
};

use crate::redis::quiet_port;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Well,
    /// Nobody listens on the port.
    Closed,
    /// Takes connections and says nothing, nor answers on those that are open: on these never, not even when it is well
    /// again.
    Hang,
    /// Sends everybody away at the greeting.
    Greet421,
    /// Asks to try later, for every recipient.
    Later451,
    /// Knows no recipient.
    Never550,
    /// Takes the mail, and hangs up instead of saying so.
    DropAfterDot,
    /// Answers two bytes a second.
    Slow,
}

/// What it does once, with the next mail.
#[derive(Debug)]
enum Once {
    /// kill -9 of the process that sends it, when a part of it has come.
    KillInData,
    /// The same when all of it has come, and was taken.
    KillAfterDot,
    /// Takes it, and keeps the answer back.
    Hold(oneshot::Sender<Held>),
}

/// A mail that was taken and whose sender waits for the answer.
#[derive(Debug)]
pub struct Held {
    /// The process that waits.
    pub pid: u32,
    /// Gives the answer, like `250 taken`.
    pub answer: oneshot::Sender<&'static str>,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub message_id: String,
    pub to: String,
    /// As it came, with the soft line breaks of quoted-printable taken out.
    pub text: String,
    pub at: Instant,
    /// The process that sent it.
    pub pid: Option<u32>,
}

struct State {
    manner: watch::Sender<Manner>,
    once: Mutex<Option<Once>>,
    mails: Mutex<Vec<Taken>>,
    killed: Mutex<Vec<u32>>,
}

/// The running server.
pub struct Sink {
    port: u16,
    state: Arc<State>,
    listening: tokio::task::JoinHandle<()>,
}

impl Sink {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let port = quiet_port();
        let state = Arc::new(State {
            manner: watch::Sender::new(Manner::Well),
            once: Mutex::default(),
            mails: Mutex::default(),
            killed: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let listening = tokio::spawn(listen(listener, port, state.clone()));
        Self { port, state, listening }
    }

    /// Its address, as a setting.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Behaves like this from now on.
    pub fn set(&self, manner: Manner) {
        self.state.manner.send_replace(manner);
    }

    /// Kills whoever sends the next mail: before its final dot, or after it.
    pub fn kill_next(&self, after_dot: bool) {
        *lock(&self.state.once) = Some(if after_dot { Once::KillAfterDot } else { Once::KillInData });
    }

    /// Keeps back the answer to the next mail.
    pub fn hold_next(&self) -> oneshot::Receiver<Held> {
        let (sender, receiver) = oneshot::channel();
        *lock(&self.state.once) = Some(Once::Hold(sender));
        receiver
    }

    /// The processes that it killed.
    pub fn killed(&self) -> Vec<u32> {
        lock(&self.state.killed).clone()
    }

    /// The mails that it took from this one on.
    pub fn mails(&self, from: usize) -> Vec<Taken> {
        lock(&self.state.mails)[from..].to_vec()
    }

    /// How many mails it took.
    pub fn count(&self) -> usize {
        lock(&self.state.mails).len()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("not poisoned")
}

async fn listen(first: TcpListener, port: u16, state: Arc<State>) {
    let mut manner = state.manner.subscribe();
    let mut listener = Some(first);
    loop {
        let open = match listener.take() {
            Some(open) => open,
            None => TcpListener::bind(("127.0.0.1", port)).await.expect("nobody takes a quiet port"),
        };
        loop {
            let accepted = tokio::select! {
                accepted = open.accept() => accepted,
                _ = manner.wait_for(|manner| *manner == Manner::Closed) => break,
            };
            let Ok((stream, peer)) = accepted else { continue };
            let state = state.clone();
            tokio::spawn(async move {
                let pid = process_at(peer.port(), port);
                let (read, write) = stream_halves(stream);
                let mut talk = Talk { read, write, manner: state.manner.subscribe(), state, pid };
                // Whoever hangs up has nothing more to say.
                let _ = talk.run().await;
            });
        }
        drop(open);
        let _ = manner.wait_for(|manner| *manner != Manner::Closed).await;
    }
}

fn stream_halves(stream: TcpStream) -> (BufReader<OwnedReadHalf>, OwnedWriteHalf) {
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (BufReader::new(read), write)
}

/// One conversation.
struct Talk {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    manner: watch::Receiver<Manner>,
    state: Arc<State>,
    pid: Option<u32>,
}

impl Talk {
    async fn run(&mut self) -> std::io::Result<()> {
        if self.turned_away().await? {
            return Ok(());
        }
        self.say("220 sink ESMTP").await?;
        let mut to = String::new();
        let mut line = String::new();
        loop {
            line.clear();
            if self.read.read_line(&mut line).await? == 0 || self.turned_away().await? {
                return Ok(());
            }
            let manner = *self.manner.borrow();
            match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => self.say("250-sink\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8").await?,
                "AUTH" => self.say("235 2.7.0 fine").await?,
                "RCPT" if manner == Manner::Later451 => self.say("451 4.3.0 later").await?,
                "RCPT" if manner == Manner::Never550 => self.say("550 5.1.1 nobody").await?,
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    self.say("250 fine").await?;
                }
                "MAIL" | "RSET" | "NOOP" => self.say("250 fine").await?,
                "DATA" => {
                    self.say("354 go on").await?;
                    if !self.take(&to).await? {
                        return Ok(());
                    }
                }
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 what").await?,
            }
        }
    }

    /// Whether this conversation is over before it went on.
    async fn turned_away(&mut self) -> std::io::Result<bool> {
        let manner = *self.manner.borrow();
        match manner {
            Manner::Closed => Ok(true),
            Manner::Hang => {
                tokio::io::copy(&mut self.read, &mut tokio::io::sink()).await?;
                Ok(true)
            }
            Manner::Greet421 => self.say("421 4.3.2 not now").await.map(|()| true),
            _ => Ok(false),
        }
    }

    /// Takes a mail; whether the conversation goes on.
    async fn take(&mut self, to: &str) -> std::io::Result<bool> {
        let once = lock(&self.state.once).take();
        let mut raw = Vec::new();
        loop {
            let begin = raw.len();
            if self.read.read_until(b'\n', &mut raw).await? == 0 {
                // Nobody will finish it: the next one is meant.
                *lock(&self.state.once) = once;
                return Ok(false);
            }
            if matches!(once, Some(Once::KillInData)) {
                self.kill();
                return Ok(false);
            }
            if &raw[begin..] == b".\r\n" {
                break;
            }
        }
        self.keep(&raw, to);
        match once {
            Some(Once::KillAfterDot) => {
                self.kill();
                return Ok(false);
            }
            Some(Once::Hold(told)) => {
                let (answer, given) = oneshot::channel();
                let _ = told.send(Held { pid: self.pid.expect("the sender is known"), answer });
                let answer = given.await.unwrap_or("250 taken");
                return self.say(answer).await.map(|()| true);
            }
            Some(Once::KillInData) | None => {}
        }
        if *self.manner.borrow() == Manner::DropAfterDot {
            return Ok(false);
        }
        self.say("250 taken").await.map(|()| true)
    }

    fn keep(&self, raw: &[u8], to: &str) {
        let text = String::from_utf8_lossy(raw).replace("=\r\n", "");
        let header = text.lines().find_map(|line| line.strip_prefix("Message-ID: "));
        let message_id = header.unwrap_or_default().to_owned();
        lock(&self.state.mails).push(Taken { message_id, to: to.to_owned(), text, at: Instant::now(), pid: self.pid });
    }

    fn kill(&self) {
        let pid = self.pid.expect("the sender is known");
        lock(&self.state.killed).push(pid);
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "{pid} is killed");
    }

    async fn say(&mut self, answer: &str) -> std::io::Result<()> {
        let answer = format!("{answer}\r\n");
        let mut left = answer.as_bytes();
        while *self.manner.borrow() == Manner::Slow && !left.is_empty() {
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.write.write_all(&left[..1]).await?;
            left = &left[1..];
        }
        self.write.write_all(left).await
    }
}

/// The process that has a connection to this server from a port: by its socket's inode. Both ends are compared: another
/// connection, to elsewhere, may be from the same port.
fn process_at(from: u16, own: u16) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let ends = [from, own].map(|port| format!("0100007F:{port:04X}"));
    let inode = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1..3).is_some_and(|found| found.iter().eq(ends.iter()));
        is_it.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    })?;
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let mut open = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        open.any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == inode.as_str())).then_some(pid)
    })
}
