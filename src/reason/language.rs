//! The languages that messages for people are written in.

/// A language that the catalogue speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    ZhCn,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::En, Self::ZhCn];

    /// The language tag (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhCn => "zh-CN",
        }
    }

    /// The best for the members of an `Accept-Language` (RFC 9110 §12.5.4), each a range with its weight: of the ranges
    /// that name a language spoken here the one of greatest weight, the first of equals. English when there is none.
    /// Any Chinese is answered in the one that there is.
    pub fn accepted<'a>(ranges: impl IntoIterator<Item = &'a str>) -> Self {
        // More ranges than anybody's settings have: what follows is not read.
        const MOST_RANGES: usize = 16;
        let mut best = (0, Self::default());
        for range in ranges.into_iter().take(MOST_RANGES) {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
            let (Some(language), Some(weight)) = (Self::of_range(tag.trim()), weight(parameters)) else {
                continue;
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    fn of_range(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::ZhCn)
        } else if primary.eq_ignore_ascii_case("en") || primary == "*" {
            Some(Self::En)
        } else {
            None
        }
    }
}

/// A weight (RFC 9110 §12.4.2) in thousandths; `None` for what is none.
fn weight(parameters: &str) -> Option<u32> {
    let value = parameters.trim().strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u32>().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_language_that_is_spoken_here_wins() {
        for (header, expected) in [
            ("", Language::En),
            ("zh-CN", Language::ZhCn),
            ("ZH-hans-cn", Language::ZhCn),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::ZhCn),
            ("en, zh", Language::En),
            ("en;q=0.2, zh;q=0.25", Language::ZhCn),
            ("fr, de;q=0.9, zh;q=0.1", Language::ZhCn),
            ("zh;q=0, *;q=0.1", Language::En),
            ("zh;q=0", Language::En),
            ("zh;q=2, en;q=0.1", Language::En),
            ("zh;q=0.1234, en;q=0.1", Language::En),
            ("zh;level=1", Language::En),
            ("zhx", Language::En),
            (",;,;q=,\u{0}", Language::En),
        ] {
            assert_eq!(Language::accepted(header.split(',')), expected, "{header:?}");
        }
    }
}
