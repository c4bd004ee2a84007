//! Writing: one process at a time, and no file that is there is ever touched.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use countersign_verifier::{Algorithm, KeyId};

use super::error::{KeyDirectoryError, KeyFileDefect};
use super::file::{self, KeyFile, Listing};
use super::name::{self, FileName};
use super::{Permissions, REFRESH, SIGNING};
use crate::model::{MacKeyId, UnixMillis};
use crate::secret;
use crate::token::mac_key;
use crate::token::schedule::Activation;
use crate::token::signing_key::SigningKey;

/// A directory of keys that no other process writes to until this is dropped.
#[derive(Debug)]
pub(super) struct LockedDirectory {
    path: PathBuf,
    _lock: File,
}

impl LockedDirectory {
    /// Makes the directory where there is none, and waits for whoever else is writing to it.
    pub(super) fn create(path: &Path) -> Result<Self, KeyDirectoryError> {
        let is_new = !path.exists();
        for directory in [path, &path.join(SIGNING), &path.join(REFRESH)] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(KeyDirectoryError::io("make the directory", directory))?;
            file::check_directory(directory, Permissions::Strict)?;
        }
        if is_new {
            sync_parent(path).map_err(KeyDirectoryError::io("make the directory", path))?;
        }
        let lock_path = path.join(".lock");
        let failed = || KeyDirectoryError::io("lock", &lock_path);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed())?;
        // The system lets go of it when the process ends, however it ends.
        lock.lock().map_err(failed())?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Whether there is a key that makes tokens, now or later.
    pub(super) fn has_key(&self, directory: &str) -> Result<bool, KeyDirectoryError> {
        Ok(!self.activations(directory)?.is_empty())
    }

    pub(super) fn add_signing_key(
        &self,
        algorithm: Algorithm,
        activate_at: UnixMillis,
    ) -> Result<KeyId, KeyDirectoryError> {
        let name = self.free_name(SIGNING, activate_at)?;
        let id = KeyId::parse(&name).map_err(|_| KeyDirectoryError::TimeOutOfRange)?;
        let pem = SigningKey::generate_pem(algorithm)?;
        self.write(SIGNING, &format!("{name}.pem"), &pem)?;
        Ok(id)
    }

    pub(super) fn add_mac_key(&self, activate_at: UnixMillis) -> Result<MacKeyId, KeyDirectoryError> {
        let name = format!("{}.key", self.free_name(REFRESH, activate_at)?);
        let path = self.path.join(REFRESH).join(&name);
        let (id, _) = name::refresh(&name).map_err(|defect| KeyDirectoryError::File { path, defect })?;
        self.write(REFRESH, &name, &mac_key::generate_pem())?;
        Ok(id)
    }

    /// From when on each key that is there makes tokens.
    fn activations(&self, directory: &str) -> Result<Vec<(Activation, KeyFile)>, KeyDirectoryError> {
        let mut found = Vec::new();
        for file in Listing::read(&self.path.join(directory), Permissions::Strict)?.into_files() {
            let activation = if directory == SIGNING {
                match name::signing(file.name()) {
                    Ok(FileName::Private(_, activation)) => Ok(Some(activation)),
                    Ok(FileName::Public(_)) => Ok(None),
                    Err(defect) => Err(defect),
                }
            } else {
                name::refresh(file.name()).map(|(_, activation)| Some(activation))
            };
            if let Some(activation) = activation.map_err(|defect: KeyFileDefect| file.error(defect))? {
                found.push((activation, file));
            }
        }
        Ok(found)
    }

    /// A name for a new key, unlike every other, if no other key comes into use in the same second.
    fn free_name(&self, directory: &str, activate_at: UnixMillis) -> Result<String, KeyDirectoryError> {
        let second = Activation::At(UnixMillis::from_secs(activate_at.as_secs()));
        let taken = self.activations(directory)?.into_iter().find(|(activation, _)| *activation == second);
        if let Some((_, file)) = taken {
            return Err(KeyDirectoryError::TimeTaken { path: file.path().to_owned() });
        }
        let digits = MacKeyId::from_bytes(secret::random());
        name::compose(activate_at, digits).ok_or(KeyDirectoryError::TimeOutOfRange)
    }

    /// Writes a file so that whoever looks sees all of it or none, after a power cut too.
    fn write(&self, directory: &str, name: &str, text: &str) -> Result<(), KeyDirectoryError> {
        let directory = self.path.join(directory);
        let target = directory.join(name);
        // What a process that was killed here left behind is of no use to anybody.
        let draft = directory.join(".draft");
        let written = (|| {
            match fs::remove_file(&draft) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Unlike a rename, a link never replaces a file that is there.
            fs::hard_link(&draft, &target)?;
            fs::remove_file(&draft)?;
            File::open(&directory)?.sync_all()?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(KeyDirectoryError::io("write", &target))
    }
}

/// Makes a new directory outlive a power cut: its name is written in its parent.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
