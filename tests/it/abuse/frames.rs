//! HTTP/2 byte by byte (RFC 9113, RFC 7541), for what no client library would send.

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// What a client says first: the preface, and settings that change nothing.
pub(super) fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame has a length of 24 bits").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The field block of `GET path`.
pub(super) fn get(path: &str) -> Vec<u8> {
    // Indexed: GET, http. Literal with an indexed name, not to be remembered: `:authority`, `:path`.
    [&[0x82, 0x86, 0x01][..], &text(b"localhost"), &[0x04], &text(path.as_bytes())].concat()
}

/// A field that is not to be remembered.
pub(super) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x00][..], &text(name), &text(value)].concat()
}

/// A field that the decoder remembers, as the first entry of its dynamic table.
pub(super) fn remembered_field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x40][..], &text(name), &text(value)].concat()
}

/// The first entry of the dynamic table.
pub(super) const FIRST_REMEMBERED: u8 = 0x80 | 0x3e;

/// A string that is not compressed.
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    // A length with a prefix of 7 bits (RFC 7541 §5.1).
    if let Some(short) = u8::try_from(bytes.len()).ok().filter(|length| *length < 127) {
        coded.push(short);
    } else {
        coded.push(127);
        let mut rest = bytes.len() - 127;
        while rest >= 128 {
            coded.push(u8::try_from(rest % 128 + 128).unwrap());
            rest /= 128;
        }
        coded.push(u8::try_from(rest).unwrap());
    }
    coded.extend_from_slice(bytes);
    coded
}
