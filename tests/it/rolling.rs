//! Stopping while requests come, behind a proxy that honours readiness: nobody notices.

use std::time::{Duration, Instant};

use support::{Client, process::Process, rolling::rolling, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_are_replaced_under_load_and_no_request_fails() {
    let rolled = rolling(1).await;
    println!("{rolled}");
    assert!(rolled.ok(), "{rolled}: {:#?}", rolled.failed);
    assert!(rolled.queries + rolled.mutations > 100, "{rolled}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_says_so_and_takes_connections_for_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let delay = Duration::from_secs(4);
    let settings = [("DATA_DIR", folder.path().display().to_string()), ("SHUTDOWN_DELAY", "4s".into())];
    let server = Process::start(&settings);
    let client = Client::new(&server.address);
    assert_eq!(client.get("/health/ready").await.status, 200);
    let address = server.address.clone();
    let began = Instant::now();
    let ended = tokio::task::spawn_blocking(move || (server.terminate(), Instant::now()));
    until("it to say that it is not ready", || async {
        let ready = client.get("/health/ready").await;
        let json = ready.json();
        let says = ready.status == 503 && json["server"] == "failing" && json["reasons"]["server"] == "stopping";
        says.then_some(())
    })
    .await;
    assert!(began.elapsed() < delay, "at once");
    // A client that is new, on a connection that is new.
    let answer = Client::new(&address).get("/graphql?query=%7B__typename%7D").await;
    assert_eq!((answer.status.as_u16(), answer.header("connection")), (200, "close"), "{}", answer.text());
    let (ended_well, at) = ended.await.expect("joined");
    assert!(ended_well && at - began >= delay, "after {:?}", at - began);
    assert!(Client::new(&address).try_send(hyper::Method::GET, "/health/live", &[], "").await.is_err());
}
