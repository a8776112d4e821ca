//! The real program as a process of its own: for what only a process can show.

use std::{
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value as Json;

/// The program, built beside the tests.
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let folder = here.ancestors().find(|folder| folder.join("spacedly").is_file());
    folder.expect("the program is built: cargo build -p spacedly").join("spacedly")
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// A running program, killed when dropped.
pub struct Process {
    child: Child,
    /// Where it listens, like `http://127.0.0.1:4711`.
    pub address: String,
}

impl Process {
    /// Starts it on a free port with these settings, and waits until it listens.
    pub fn start(settings: &[(&str, String)]) -> Self {
        Self::start_logging_to(settings, crate::logs::of_process())
    }

    /// The same, with its log going somewhere.
    pub fn start_logging_to(settings: &[(&str, String)], log: impl Into<Stdio>) -> Self {
        let mut command = Command::new(binary());
        command.env_clear().env("PORT", "0").envs(settings.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let address = first.strip_prefix("Spacedly listens on ").unwrap_or_else(|| panic!("it said {first:?}"));
        // The rest is a banner; reading it on keeps the pipe open.
        let address = address.to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// SIGTERM, and whether it ended well.
    pub fn terminate(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        self.child.wait().expect("gone").success()
    }

    /// Its resident memory in KiB.
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A script of `tests/frontend` that runs beside a case and speaks JSON, a line each. Killed when dropped.
pub struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts it; its first line says where it is reached.
    pub fn start(arguments: &[&str]) -> (Self, Json) {
        let mut command = Command::new("node");
        command.args(arguments).current_dir(root().join("tests/frontend")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("node runs: tests/run installs it");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut script = Self { child, lines };
        let first = script.next_line();
        (script, first)
    }

    /// Its next line.
    pub fn next_line(&mut self) -> Json {
        serde_json::from_str(&self.lines.next().expect("a line").expect("text")).expect("JSON")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
