//! Tokens and the keys they are made with: access tokens, refresh tokens, signing keys, MAC keys, and the
//! directory or the database that keys are kept in.

pub mod access;
pub mod key_directory;
mod key_encryption;
pub mod keyring;
pub mod mac_key;
mod password_reset;
mod pem_block;
pub mod refresh;
mod schedule;
mod service_key;
mod signers;
pub mod signing_key;
pub mod signing_keys;
mod stored_keys;

pub use access::{
    AccessGrant, AccessToken, AccessTokenIssuer, AttributesTooLarge, AudiencesTooLarge, MintError,
    ServiceGrant,
};
pub use key_directory::{
    KeyDirectory, KeyDirectoryError, KeyFileDefect, KeyInfo, KeyState, LoadedKeys, MAC_ALGORITHM, Permissions,
};
pub use key_encryption::{InvalidEncryptionKey, KeyEncryption, UnsealError};
pub use keyring::Keyring;
pub use mac_key::{InvalidMacKey, InvalidMacKeys, MacKey, MacKeys, UnknownMacKey};
pub use password_reset::{PasswordReset, ResetClaims};
pub use pem_block::InvalidPem;
pub use refresh::{RefreshClaims, RefreshToken, RefreshTokenDefect, RefreshTokenError, SessionSecret};
pub use schedule::{Activation, InvalidSchedule};
pub use service_key::{PlainServiceKey, PresentedKey, service_key_id_of_request};
pub use signing_key::{GeneratingFailed, InvalidSigningKey, SigningKey};
pub use signing_keys::{InvalidSigningKeys, SigningKeys};
pub use stored_keys::{
    KeyDefect, MadeKey, MakeKeyError, MoveKeysError, OpenedKeys, StoredKeysError, digest_of_key_request,
};
