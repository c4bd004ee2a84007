//! The one source of random bytes, and a wrapper that keeps secret bytes out of logs and wipes them.

use std::fmt;

use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// `N` bytes that nobody can guess.
///
/// # Panics
///
/// When the operating system has no randomness to give: nothing that needs a secret may go on without.
#[expect(clippy::disallowed_methods, reason = "this is the one place that makes secrets")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Secret bytes: shown nowhere, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes bytes that are a secret from now on.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// A new secret.
    pub fn generate() -> Self {
        Self(random())
    }

    /// The bytes, for what is computed from them and nothing else.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_random_values_are_alike() {
        assert_ne!(random::<16>(), random::<16>());
        assert_ne!(Secret::<16>::generate().expose(), &[0; 16]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new([0x41; 4])), "Secret(…)");
    }
}
