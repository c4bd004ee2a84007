//! Tokens and the keys they are made with.

pub mod access;

pub use access::{
    AccessGrant, AccessToken, AccessTokenIssuer, AttributesTooLarge, AudiencesTooLarge, MintError,
    SignsTokens,
};
