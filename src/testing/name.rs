//! What worlds are called.

use std::fmt;

use crate::secret;

/// The name of a world: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorldName(String);

/// A name that no world can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} of A-Z a-z 0-9 . _ -", WorldName::MAX_BYTES)]
pub struct InvalidWorldName;

impl WorldName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, InvalidWorldName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=Self::MAX_BYTES).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidWorldName)
        }
    }

    /// What the host of a request ends with that names a world.
    const HOST_SUFFIX: &str = ".localhost";

    /// The name that a host has before `.localhost`, whatever its port, in lower case; `None` for another host. Browsers find
    /// such a host on this machine, and a gRPC client can be given it as its authority.
    pub fn in_host(host: &str) -> Option<String> {
        let host = host.to_ascii_lowercase();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        name.strip_suffix(Self::HOST_SUFFIX).map(str::to_owned)
    }

    /// The one world that is named, by whatever of a request; the default world where nothing names one. The error is which
    /// place is wrong, and what with it.
    pub fn of_request<'p>(
        named: impl IntoIterator<Item = (&'p str, String)>,
    ) -> Result<Self, (&'p str, String)> {
        let mut world = None;
        for (place, name) in named {
            let name = Self::parse(&name).map_err(|error| (place, error.to_string()))?;
            if world.as_ref().is_some_and(|world| *world != name) {
                return Err((place, "names another world than the rest of the request".to_owned()));
            }
            world = Some(name);
        }
        Ok(world.unwrap_or_else(Self::default_world))
    }

    /// The world of requests that name none.
    pub fn default_world() -> Self {
        Self("default".to_owned())
    }

    /// A name that no other world has.
    pub fn made_up() -> Self {
        Self(format!("world-{}", hex::encode(secret::random::<8>())))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_has_no_character_that_a_header_or_a_path_minds() {
        for good in ["default", "a", "Test_1.case-2", &"x".repeat(64)] {
            assert_eq!(WorldName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a/b", "ä", "a:1", &"x".repeat(65)] {
            assert_eq!(WorldName::parse(bad), Err(InvalidWorldName), "{bad:?}");
        }
        assert_eq!(WorldName::in_host("One.localhost:8080").as_deref(), Some("one"));
        assert_eq!(WorldName::in_host("one.localhost").as_deref(), Some("one"));
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "one.example"] {
            assert_eq!(WorldName::in_host(host), None, "{host}");
        }
        assert_ne!(WorldName::made_up(), WorldName::made_up());
        WorldName::parse(WorldName::made_up().as_str()).unwrap();
    }
}
