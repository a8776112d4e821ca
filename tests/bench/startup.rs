//! Binary size, start to first answer, idle memory: of the program as a process. Figures to look at, without a goal.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use support::process::{Process, binary};

use crate::median;

pub fn run(starts: u64) {
    let size = std::fs::metadata(binary()).map(|meta| meta.len()).unwrap_or(0);
    println!("startup: the program {} has {:.1} MB", binary().display(), size as f64 / 1e6);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("DATA_DIR", folder.path().display().to_string()), ("LOG", "off".to_owned())];
    // The first start makes the tables.
    let first = Instant::now();
    drop(Process::start(&settings));
    println!("startup: the first start, with migrations, took {:.0} ms", first.elapsed().as_secs_f64() * 1_000.0);
    let mut times = Vec::new();
    for _ in 0..starts {
        let began = Instant::now();
        let process = Process::start(&settings);
        ask(&process);
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    println!("startup: from start to the first answer {:.0} ms (median of {starts})", median(times));
    let process = Process::start(&settings);
    ask(&process);
    std::thread::sleep(Duration::from_secs(3));
    println!(
        "startup: idle memory {:.1} MB resident, 3 s after the first answer",
        process.memory_kib() as f64 / 1_024.0
    );
}

fn ask(process: &Process) {
    let host = process.address.trim_start_matches("http://");
    let body = r#"{"query":"{ viewer { id } }"}"#;
    let mut socket = TcpStream::connect(host).expect("connected");
    let length = body.len();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answered");
    assert!(answer.contains(r#""data":{"viewer":null}"#), "{answer}");
}
