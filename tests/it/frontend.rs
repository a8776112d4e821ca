//! Front ends in earnest: the example app and GraphiQL in Chromium, Apollo Client, urql and Relay, each doing one real
//! thing, and schema.graphql as tools see it.

use support::{
    both, postgres,
    process::{Process, root},
    redis,
};
use tokio::sync::OnceCell;

use crate::clients::{run, run_program};

/// The example app and the Relay project, built once from the committed schema.
async fn built() {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT.get_or_init(|| run_program("npm", vec!["run".to_owned(), "build".to_owned()])).await;
}

/// The real program with settings that make it quick.
fn start(folder: &std::path::Path, more: Vec<(&'static str, String)>) -> Process {
    let mut settings = vec![
        ("DATA_DIR", folder.display().to_string()),
        ("PASSWORD_MEMORY_KIB", "64".to_owned()),
        ("PASSWORD_PASSES", "1".to_owned()),
    ];
    settings.extend(more);
    Process::start(&settings)
}

/// The app in the browser: its page comes from another origin, and access tokens end while it is open.
async fn browse(database: Option<String>) {
    built().await;
    let folder = tempfile::tempdir().expect("a folder");
    let page = redis::quiet_port();
    let mut more =
        vec![("ALLOWED_ORIGINS", format!("http://127.0.0.1:{page}")), ("ACCESS_TOKEN_LIFETIME", "4s".to_owned())];
    more.extend(database.map(|database| ("DATABASE_URL", database)));
    let server = start(folder.path(), more);
    let arguments = vec!["browser.mjs".to_owned(), server.address.clone(), page.to_string()];
    run_program("node", arguments).await;
}

#[tokio::test]
async fn the_badge_of_the_app_never_drifts_on_sqlite() {
    browse(None).await;
}

#[tokio::test]
async fn the_badge_of_the_app_never_drifts_on_postgres() {
    browse(Some(postgres::cluster().empty_database().await)).await;
}

#[tokio::test]
async fn graphiql_works_from_its_built_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), Vec::new());
    run_program("node", vec!["graphiql.mjs".to_owned(), server.address.clone()]).await;
}

#[tokio::test]
async fn relay_names_trusted_documents_by_their_ids() {
    built().await;
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = root().join("tests/frontend/relay/documents.json");
    let server = start(folder.path(), vec![("TRUSTED_DOCUMENTS", manifest.display().to_string())]);
    let url = format!("{}/graphql", server.address);
    run_program("node", vec!["relay/main.js".to_owned(), url, "trusted".to_owned()]).await;
}

#[tokio::test]
async fn the_schema_is_clean_and_breaks_nobody_since_the_last_release() {
    run_program("npm", vec!["run".to_owned(), "schema".to_owned()]).await;
}

both! {
    async fn introspection_tells_the_committed_schema(server) {
        run("contract.mjs", server.port).await;
    }

    async fn apollo_client_caches_persists_uploads_and_follows(server) {
        run("apollo.mjs", server.port).await;
    }

    async fn urql_keeps_its_list_by_the_schema(server) {
        run("urql.mjs", server.port).await;
    }

    async fn relay_pages_and_fetches_nodes(server) {
        built().await;
        run("relay/main.js", server.port).await;
    }
}
