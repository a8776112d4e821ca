//! Every point at which a process can die on the way of a reminder, one after the other.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use support::{Client, dice::Dice, postgres, process::Process};

use crate::ground::{ABORTED, Ground, KILLED, Kind, Setting};

/// The points on the way of a reminder; the last two are brought about by the mail server, in the midst of a mail.
const POINTS: [&str; 9] = [
    "claim.after",
    "reclaim",
    "mail.before",
    "mail.after",
    "commit.before",
    "commit.after",
    "mark.after",
    "smtp.data",
    "smtp.dot",
];

/// Lets a process die so often at each point. Whether every promise was kept.
pub(crate) async fn run(times: usize, only: Option<&str>) -> bool {
    let wanted = move |point: &str, only: Option<&str>| only.is_none_or(|only| only == point);
    let mut ok = true;
    if wanted("migration", only) {
        ok &= migrations(times).await;
    }
    let points: Vec<&'static str> = POINTS.into_iter().filter(|point| wanted(point, only)).collect();
    let trials = [Kind::Sqlite, Kind::Three].map(|kind| tokio::spawn(on(kind, points.clone(), times)));
    for trial in trials {
        ok &= trial.await.expect("it ran to its end");
    }
    ok
}

async fn on(kind: Kind, points: Vec<&'static str>, times: usize) -> bool {
    let settings = [("JOB_LEASE", "2s"), ("JOB_RETRY_FIRST", "1s"), ("JOB_RETRY_LONGEST", "2s"), ("JOB_CRASHES", "50")];
    let mut ground = Ground::new(kind, &settings).await;
    let mut ok = true;
    for point in points {
        let began = Instant::now();
        let mut hit = 0;
        for _ in 0..times {
            hit += usize::from(die_at(&mut ground, point).await);
            ground.settle(Duration::from_secs(60)).await;
        }
        let verdict = ground.verdict(false).await;
        let kept = verdict.ok() && hit == times;
        println!(
            "point {point}, {}: {hit} of {times} deaths, {verdict}, {:.0} s: {}",
            kind.name(),
            began.elapsed().as_secs_f64(),
            if kept { "ok" } else { "FAILED" }
        );
        ok &= kept;
    }
    ground.stop_all();
    ok
}

fn crash_at(point: &str, nth: u64) -> [Setting; 1] {
    [("CRASH_AT", format!("{point}:{nth}"))]
}

/// Lets one instance die there while reminders fall due, and starts it again. Whether it died, and of that.
async fn die_at(ground: &mut Ground, point: &str) -> bool {
    let victim = ground.dice.roll(ground.size() as u64) as usize;
    let by_mail_server = point.starts_with("smtp.");
    ground.start_all();
    let nth = 1 + ground.dice.roll(3);
    let setting = match point {
        // A worker has to vanish first; on SQLite it is the same one.
        "reclaim" if ground.kind == Kind::Sqlite => crash_at("claim.after", 1),
        "reclaim" => crash_at("reclaim", 1),
        _ => crash_at(point, nth),
    };
    if !by_mail_server {
        ground.kill(victim);
        ground.start(victim, &setting);
    } else {
        ground.sink.kill_next(point == "smtp.dot");
    }
    let helper = (victim + 1) % ground.size();
    if point == "reclaim" && helper != victim {
        ground.kill(helper);
        ground.start(helper, &crash_at("claim.after", 1));
    }
    let mut reclaiming = helper != victim;
    for _ in 0..15 {
        ground.wave(12, 200, 1_000).await;
        let until = Instant::now() + Duration::from_millis(if point == "reclaim" { 4_000 } else { 2_500 });
        while Instant::now() < until {
            for ended in ground.ended() {
                if by_mail_server {
                    ground.start_all();
                    return ended.signal == KILLED && ground.sink.killed().contains(&ended.pid);
                }
                if ended.slot == victim && (point != "reclaim" || reclaiming) {
                    ground.start_all();
                    return ended.signal == ABORTED;
                }
                let next = if ended.slot == victim { "reclaim" } else { "claim.after" };
                reclaiming |= ended.slot == victim;
                ground.start(ended.slot, &crash_at(next, 1));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    ground.kill(victim);
    ground.start_all();
    false
}

/// Dies between two migrations, and, killed, at any moment of them: the next start finishes.
async fn migrations(times: usize) -> bool {
    let mut ok = true;
    for kind in [Kind::Sqlite, Kind::Three] {
        let mut dice = Dice::new(0xD1CE);
        let (mut between, mut anywhere, mut finished) = (0, 0, 0);
        for _ in 0..times {
            let (settings, _folder) = empty(kind).await;
            let dying: Vec<Setting> =
                settings.iter().cloned().chain(crash_at("migration", 1 + dice.roll(17))).collect();
            let died = tokio::task::block_in_place(|| Process::try_start(&dying, support::logs::of_process()));
            between += usize::from(died.is_err_and(|(_, status)| status.signal() == ABORTED));
            finished += usize::from(starts(&settings).await);
            let (settings, _folder) = empty(kind).await;
            anywhere += usize::from(killed_while_starting(&settings, 20 + dice.roll(400)));
            finished += usize::from(starts(&settings).await);
        }
        let kept = between == times && finished == 2 * times;
        println!(
            "point migration, {}: {between} of {times} deaths between two, {anywhere} kills before it listened, \
             {finished} of {} next starts finished: {}",
            kind.name(),
            2 * times,
            if kept { "ok" } else { "FAILED" }
        );
        ok &= kept;
    }
    ok
}

async fn empty(kind: Kind) -> (Vec<Setting>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings: Vec<Setting> = vec![("DATA_DIR", folder.path().display().to_string()), ("LOG", "off".into())];
    if kind == Kind::Three {
        settings.push(("DATABASE_URL", postgres::cluster().empty_database().await));
    }
    (settings, folder)
}

/// Whether it starts and is ready.
async fn starts(settings: &[Setting]) -> bool {
    match tokio::task::block_in_place(|| Process::try_start(settings, support::logs::of_process())) {
        Ok(process) => Client::new(&process.address).get("/health/ready").await.status == 200,
        Err((said, status)) => {
            println!("the next start does not finish: {said} {status}");
            false
        }
    }
}

/// kill -9 so many milliseconds after the start. Whether it did not listen yet.
fn killed_while_starting(settings: &[Setting], after_ms: u64) -> bool {
    let mut command = std::process::Command::new(support::process::binary());
    command.env_clear().env("PORT", "0").envs(settings.iter().map(|(name, value)| (name, value)));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("it starts");
    tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(after_ms)));
    child.kill().expect("killed");
    let output = child.wait_with_output().expect("gone");
    output.stdout.is_empty()
}
