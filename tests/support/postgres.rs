//! A private PostgreSQL for this test process, from the installed binaries, in a temporary folder, on a free port.
//! It ends with the process, however that ends: a shell beside it waits for the end of its input.

use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database};

/// The running cluster.
pub struct Cluster {
    port: u16,
    made: AtomicU32,
    template: tokio::sync::OnceCell<()>,
    making: tokio::sync::Mutex<()>,
    _guardian: (Child, ChildStdin),
}

/// The cluster of this process, started at first use.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(start)
}

impl Cluster {
    /// The address of a new database with all tables.
    pub async fn database(&self) -> String {
        self.template
            .get_or_init(|| async {
                self.create("template_spacedly", "template1").await;
                let db = Database::connect(self.url("template_spacedly")).await.expect("the template answers");
                Migrator::up(&db, None).await.expect("the migrations apply");
                db.close().await.expect("closed");
            })
            .await;
        let name = format!("test_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.create(&name, "template_spacedly").await;
        self.url(&name)
    }

    /// The address of a new database without tables.
    pub async fn empty_database(&self) -> String {
        let name = format!("empty_{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.create(&name, "template1").await;
        self.url(&name)
    }

    async fn create(&self, name: &str, template: &str) {
        let _one_at_a_time = self.making.lock().await;
        let db = Database::connect(self.url("postgres")).await.expect("PostgreSQL answers");
        db.execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.expect("created");
        db.close().await.expect("closed");
    }

    fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

/// Where the server's programs lie.
pub fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.flatten().map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop()
}

fn start() -> Cluster {
    let Some(bin) = binaries() else {
        panic!(
            "PostgreSQL is not installed, so that the cases on PostgreSQL cannot run: apt-get install postgresql \
             (tests/run does it). They count as failed, not as skipped."
        );
    };
    let folder = tempfile::Builder::new().prefix("spacedly-pg-").tempdir().expect("a folder").keep();
    let data = folder.join("data");
    let owner = owner();
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("the folder is given to PostgreSQL's user");
    }
    let mut initdb = Command::new(bin.join("initdb"));
    initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"]).arg(&data).current_dir(&folder);
    let made = as_owner(&mut initdb, owner).output().expect("initdb runs");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let port = crate::redis::quiet_port();
    // Durability is PostgreSQL's own business: what is tested here is ours, and a disk that syncs slows it down.
    let script = format!(
        "{}/postgres -D {data} -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
         -c synchronous_commit=off -c full_page_writes=off -c max_connections=400 >{folder}/log 2>&1 & pid=$!; \
         echo started; cat >/dev/null; kill -INT $pid; wait $pid; rm -rf {folder}",
        bin.display(),
        data = data.display(),
        folder = folder.display()
    );
    let mut guardian = Command::new("sh");
    // A group of its own: an interrupt of the terminal must not end the guardian before its work.
    guardian.arg("-c").arg(script).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut guardian = as_owner(&mut guardian, owner).spawn().expect("sh runs");
    let mut ready = [0; 8];
    guardian.stdout.take().expect("piped").read_exact(&mut ready).expect("the guardian speaks");
    let mut input = guardian.stdin.take().expect("piped");
    input.flush().expect("open");
    let began = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed().as_secs() < 30, "PostgreSQL did not start: see {}/log", folder.display());
        std::thread::yield_now();
    }
    Cluster {
        port,
        made: AtomicU32::new(0),
        template: tokio::sync::OnceCell::new(),
        making: tokio::sync::Mutex::new(()),
        _guardian: (guardian, input),
    }
}

/// PostgreSQL refuses to run as root: then it runs as its own user.
fn owner() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let of = |user| Some((id(&["-u", user])?, id(&["-g", user])?));
    Some(of("postgres").or_else(|| of("nobody")).expect("a user other than root"))
}

fn as_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((uid, gid)) => command.uid(uid).gid(gid),
        None => command,
    }
}
