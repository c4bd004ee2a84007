//! `countersign completions`

use std::io::Write;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure};

/// Prints a completion script.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to complete in
    pub shell: Shell,
}

impl Completions {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        // The generator panics where it cannot write, so it writes to memory.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "countersign", &mut script);
        out.write_all(&script)?;
        Ok(())
    }
}
