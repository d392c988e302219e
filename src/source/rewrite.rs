//! Writing a file of a directory anew.

use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::Path;

/// Replaces the text of a file, whole or not at all, and keeps its mode. Only a file that still has the text that was read
/// is replaced.
///
/// # Errors
/// It is no plain file, it has another text by now, or it cannot be written.
pub fn rewrite(path: &Path, before: &str, after: &str) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no plain file"));
    }
    if fs::read(path)? != before.as_bytes() {
        return Err(Error::other("it was changed meanwhile"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Its name is none of a manifest, so that nothing reads it meanwhile.
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = write(&beside, after, metadata.permissions()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write(path: &Path, text: &str, permissions: fs::Permissions) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(permissions)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.yaml"), folder.path().join("b.yaml"));
        fs::write(&file, "one").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        symlink(&file, &link).expect("a link");
        rewrite(&file, "one", "two").expect("written");
        let mode = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!((fs::read_to_string(&file).expect("a file").as_str(), mode), ("two", 0o640));
        let refused = |path: &Path| rewrite(path, "one", "three").expect_err("refused").to_string();
        assert_eq!(refused(&file), "it was changed meanwhile");
        assert_eq!(refused(&link), "it is no plain file");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }
}
