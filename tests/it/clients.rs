//! Clients that nobody here wrote, from npm: the audits of GraphQL over HTTP, every rule of graphql-transport-ws,
//! graphql-ws with the main job, and graphql-sse in both of its modes. Tables that they make are kept for `tests/run`.

use std::process::Command;

use support::{
    both,
    process::{reports, root},
};

/// Runs a script of `tests/frontend` against the server.
pub(crate) async fn run(script: &'static str, port: u16) {
    run_program("node", vec![script.to_owned(), format!("http://127.0.0.1:{port}/graphql")]).await;
}

/// Runs a program in `tests/frontend` to its end; its report goes to the test's output.
pub(crate) async fn run_program(program: &'static str, arguments: Vec<String>) {
    let folder = root().join("tests/frontend");
    assert!(
        folder.join("node_modules").exists(),
        "the npm clients are not installed: npm --prefix tests/frontend ci (tests/run does it)"
    );
    let what = format!("{program} {}", arguments.join(" "));
    let output = tokio::task::spawn_blocking(move || {
        Command::new(program).args(arguments).current_dir(folder).env("REPORTS", reports()).output().expect("it runs")
    })
    .await
    .expect("run");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{what}: {said}");
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

    async fn the_live_stream_works_with_graphql_sse(server) {
        run("sse.mjs", server.port).await;
    }
}
