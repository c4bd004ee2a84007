//! Whether the files of an open database are still where they were opened.
//!
//! A file that is deleted or replaced stays open, and takes writes that nobody will ever read: they must not be
//! acknowledged. So before and after each piece of work the names are looked up, which costs a microsecond.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tokio::sync::Mutex;

use crate::store::sql::Failure;

/// The files of a database, as they were found when it was opened.
#[derive(Debug)]
pub(super) struct Place {
    files: Vec<(PathBuf, Identity)>,
    /// SQLite removes the write-ahead log when the last connection ends, and makes another for the next. This one stays
    /// open, so that a log that is missing was taken away.
    anchor: Mutex<Option<SqliteConnection>>,
    /// Whether the database was closed, after which SQLite removes the log by itself.
    left: AtomicBool,
}

/// What tells a file from every other one on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Place {
    /// The files of the database at `path`, which the connection leads to, and keeps open. One in memory has none.
    pub(super) async fn of(path: Option<&Path>, mut anchor: SqliteConnection) -> sqlx::Result<Self> {
        // Whatever is read first opens the log, too.
        anchor.execute("SELECT count(*) FROM sqlite_schema").await?;
        let Some(path) = path else {
            return Ok(Self {
                files: Vec::new(),
                anchor: Mutex::new(Some(anchor)),
                left: AtomicBool::new(false),
            });
        };
        let mut files = vec![(path.to_owned(), Identity::of(path)?)];
        let beside = path.canonicalize()?;
        for suffix in ["-wal", "-shm"] {
            let mut name = beside.clone().into_os_string();
            name.push(suffix);
            let name = PathBuf::from(name);
            // A file system without shared memory has neither.
            if let Ok(identity) = Identity::of(&name) {
                files.push((name, identity));
            }
        }
        Ok(Self { files, anchor: Mutex::new(Some(anchor)), left: AtomicBool::new(false) })
    }

    /// Fails when one of the files was deleted, moved or replaced.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.left.load(Ordering::Acquire) {
            return Ok(());
        }
        let misplaced = self.files.iter().find_map(|(path, identity)| {
            let what = match Identity::of(path) {
                Ok(found) if found == *identity => return None,
                Ok(_) => "was replaced by another file",
                Err(error) if error.kind() == io::ErrorKind::NotFound => "was deleted or moved",
                Err(error) => return Some(format!("{} cannot be looked up: {error}", path.display())),
            };
            Some(format!(
                "{} {what} while it was open, so that nothing is read or written any more: put the file back, or \
                 restart to use what is there now",
                path.display()
            ))
        });
        misplaced.map_or(Ok(()), |misplaced| Err(Failure::Misplaced(misplaced)))
    }

    /// Lets SQLite tidy up as the last connection ends.
    pub(super) async fn leave(&self) {
        self.left.store(true, Ordering::Release);
        if let Some(anchor) = self.anchor.lock().await.take() {
            anchor.close().await.ok();
        }
    }
}
