//! Exports: output trees copied into the source tree. Files that already hold the same bytes are left alone.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: writes exported outputs into the project"
)]

use std::path::Path;

use stagecraft_store::{Digest, Directory, Node, Object, Store};

use super::{failed, temporary_beside};
use crate::cli::error::CliError;
use crate::plan::operation::Run as Recipe;

/// Copies an output into the source tree, below the workdir: writable files with fresh times. Files that already
/// hold the same bytes are left alone, so that nothing that watches them wakes.
pub(super) fn export(
    store: &Store,
    project: &Path,
    recipe: &Recipe,
    output: Object,
) -> Result<(), CliError> {
    let Some(directory) = store.directory(&output.digest)? else {
        return Ok(());
    };
    let base = project.join(recipe.workdir.as_str());
    export_directory(store, &base, &directory)
}

fn export_directory(store: &Store, base: &Path, directory: &Directory) -> Result<(), CliError> {
    std::fs::create_dir_all(base).map_err(failed(base, "cannot be made"))?;
    for (name, node) in directory.iter() {
        let path = base.join(name.as_str());
        match node {
            Node::Directory { object } => {
                if let Some(below) = store.directory(&object.digest)? {
                    export_directory(store, &path, &below)?;
                }
            }
            Node::Symlink { target } => {
                if std::fs::read_link(&path)
                    .is_ok_and(|current| current.as_os_str() == target.as_str())
                {
                    continue;
                }
                let temporary = temporary_beside(&path);
                std::os::unix::fs::symlink(target, &temporary)
                    .map_err(failed(&temporary, "cannot be made"))?;
                std::fs::rename(&temporary, &path).map_err(failed(&path, "cannot be replaced"))?;
            }
            Node::File { object, executable } => export_file(store, &path, *object, *executable)?,
        }
    }
    Ok(())
}

fn export_file(
    store: &Store,
    path: &Path,
    object: Object,
    executable: bool,
) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt;
    let is_same = |bytes: &[u8], mode: u32| {
        Digest::of(bytes) == object.digest && (mode & 0o100 != 0) == executable
    };
    let current = std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file);
    if let Some(metadata) = current
        && std::fs::read(path).is_ok_and(|bytes| is_same(&bytes, metadata.permissions().mode()))
    {
        return Ok(());
    }
    let temporary = temporary_beside(path);
    let mut file =
        std::fs::File::create(&temporary).map_err(failed(&temporary, "cannot be made"))?;
    store.read_to(&object.digest, &mut file)?;
    let mode = if executable { 0o755 } else { 0o644 };
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&temporary, permissions)
        .map_err(failed(&temporary, "cannot be made executable"))?;
    std::fs::rename(&temporary, path).map_err(failed(path, "cannot be replaced"))
}
