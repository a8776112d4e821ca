//! Puts the built GraphiQL into the program, when `api/graphiql/dist` exists.
#![expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by the environment")]

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("graphiql/dist");
    println!("cargo::rerun-if-changed=build.rs");
    // A folder that is not there would make every build run this again: its parent is watched instead.
    println!("cargo::rerun-if-changed={}", if root.exists() { "graphiql/dist" } else { "graphiql" });
    let mut files = Vec::new();
    gather(&root, &root, &mut files)?;
    files.sort();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default()).join("graphiql.rs");
    let mut out = fs::File::create(out)?;
    writeln!(out, "/// Name and content of each file.")?;
    writeln!(out, "pub(super) static FILES: &[(&str, &[u8])] = &[")?;
    for (name, path) in files {
        writeln!(out, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    writeln!(out, "];")
}

fn gather(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            gather(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            files.push((name.to_string_lossy().replace('\\', "/"), path.clone()));
        }
    }
    Ok(())
}
