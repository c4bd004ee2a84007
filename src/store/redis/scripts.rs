//! The scripts: one for each verb, so that each is one atomic command.

use deadpool_redis::redis::{self, Cmd};

/// A Lua script, and the digest that the server knows it by.
pub(super) struct Script {
    text: String,
    digest: String,
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The command for a server that knows the script.
    pub(super) fn by_digest(&self, keys: &[&[u8]], arguments: &Arguments) -> Cmd {
        command("EVALSHA", &self.digest, keys, arguments)
    }

    /// The command for a server that does not, and will from then on.
    pub(super) fn by_text(&self, keys: &[&[u8]], arguments: &Arguments) -> Cmd {
        command("EVAL", &self.text, keys, arguments)
    }
}

/// What a script is given beside its key, in order.
#[derive(Clone, Default)]
pub(super) struct Arguments(Vec<Vec<u8>>);

impl Arguments {
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(bytes.to_vec());
        self
    }

    pub(super) fn number(self, number: impl std::fmt::Display) -> Self {
        self.bytes(number.to_string().as_bytes())
    }

    pub(super) fn flag(self, set: bool) -> Self {
        self.number(u8::from(set))
    }
}

fn command(name: &str, script: &str, keys: &[&[u8]], arguments: &Arguments) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(*key);
    }
    for argument in &arguments.0 {
        command.arg(argument.as_slice());
    }
    command
}

/// Every script there is.
pub(super) struct Scripts {
    pub(super) create: Script,
    pub(super) rotate: Script,
    pub(super) find: Script,
    pub(super) list: Script,
    pub(super) delete: Script,
    pub(super) admit: Script,
    pub(super) succeed: Script,
    pub(super) request: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let time = include_str!("time.lua");
        let of_sessions = |verb| Script::new(&[time, include_str!("sessions.lua"), verb]);
        Self {
            create: of_sessions(include_str!("create.lua")),
            rotate: of_sessions(include_str!("rotate.lua")),
            find: of_sessions(include_str!("find.lua")),
            list: of_sessions(include_str!("list.lua")),
            delete: of_sessions(include_str!("delete.lua")),
            admit: Script::new(&[time, include_str!("admit.lua")]),
            succeed: Script::new(&[time, include_str!("succeed.lua")]),
            request: Script::new(&[time, include_str!("request.lua")]),
        }
    }
}
