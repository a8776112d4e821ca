//! Clients that nobody here wrote, from npm: the audits of GraphQL over HTTP, every rule of graphql-transport-ws, and
//! graphql-ws with the main job.

use std::process::Command;

use support::{both, process::root};

/// Runs a script of `tests/frontend` against the server; its report goes to the test's output.
async fn run(script: &'static str, port: u16) {
    let folder = root().join("tests/frontend");
    assert!(
        folder.join("node_modules").exists(),
        "the npm clients are not installed: npm --prefix tests/frontend ci (tests/run does it)"
    );
    let url = format!("http://127.0.0.1:{port}/graphql");
    let output = tokio::task::spawn_blocking(move || {
        Command::new("node").arg(script).arg(url).current_dir(folder).output().expect("node runs")
    })
    .await
    .expect("run");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{script}: {said}");
}

both! {
    async fn the_audits_of_graphql_over_http_pass(server) {
        run("audits.mjs", server.port).await;
    }

    async fn every_rule_of_graphql_transport_ws_holds(server) {
        run("socket.mjs", server.port).await;
    }

    async fn the_main_job_works_with_graphql_ws(server) {
        run("client.mjs", server.port).await;
    }
}
