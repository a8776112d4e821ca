//! The real program as a process of its own: for what only a process can show.

use std::{
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use serde_json::Value as Json;

/// The program, built beside the tests.
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let folder = here.ancestors().find(|folder| folder.join("spacedly").is_file());
    folder.expect("the program is built: cargo build -p spacedly").join("spacedly")
}

/// Where scripts keep the tables that people are to read: beside the program.
pub fn reports() -> PathBuf {
    binary().with_file_name("reports")
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The resident memory of a process in KiB.
pub fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
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
        Self::try_start(settings, log).unwrap_or_else(|(said, _)| panic!("it said {said:?}"))
    }

    /// The same of one that may end before it listens. Err: what it said, and how it ended.
    pub fn try_start(settings: &[(&str, String)], log: impl Into<Stdio>) -> Result<Self, (String, ExitStatus)> {
        Self::try_start_as(&[], "Spacedly listens on ", settings, log)
    }

    /// Starts another command of it, which says so when it is there.
    pub fn start_as(arguments: &[&str], says: &str, settings: &[(&str, String)]) -> Self {
        let started = Self::try_start_as(arguments, says, settings, crate::logs::of_process());
        started.unwrap_or_else(|(said, _)| panic!("it said {said:?}"))
    }

    fn try_start_as(
        arguments: &[&str],
        says: &str,
        settings: &[(&str, String)],
        log: impl Into<Stdio>,
    ) -> Result<Self, (String, ExitStatus)> {
        let mut command = Command::new(binary());
        command.args(arguments).env_clear();
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
        // Tests ask more often than people do; those about the budget set their own.
        let budgets = [("COST_BUDGET", "1000000000"), ("COST_BUDGET_ANONYMOUS", "1000000000")];
        let settings: Vec<(&str, &str)> = budgets.into_iter().chain([("PORT", "0")]).chain(settings).collect();
        crate::limits::note(settings.iter().copied());
        command.envs(settings);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        let Some(address) = first.strip_prefix(says) else {
            let _ = child.kill();
            return Err((first, child.wait().expect("gone")));
        };
        // The rest is a banner; reading it on keeps the pipe open.
        let address = address.to_owned();
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended. None: it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Sends it a signal by its name, like `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{name} is sent");
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// SIGTERM, and whether it ended well.
    pub fn terminate(mut self) -> bool {
        self.signal("TERM");
        self.child.wait().expect("gone").success()
    }

    /// Its resident memory in KiB.
    pub fn memory_kib(&self) -> u64 {
        memory_kib(self.child.id())
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
