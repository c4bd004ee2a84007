//! Finds the word that was probably meant, for errors that ask "did you mean …?".

/// The longest word that is compared; anything longer is no misspelling of a name.
const LONGEST: usize = 64;

/// The known word that is nearest to the one found. Letter case, `-` and `_` do not count, and two letters that
/// changed places are one mistake; a longer word may have more mistakes. `None` when nothing is near.
pub fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = plain(found);
    let most = match found.chars().count() {
        0..=1 => 0,
        2..=4 => 1,
        5..=9 => 2,
        10..=LONGEST => 3,
        _ => return None,
    };
    let distance = |word: &&str| strsim::damerau_levenshtein(&found, &plain(word));
    let near = known.into_iter().filter(|word| distance(word) <= most);
    near.min_by_key(distance)
}

fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_few_mistakes_finds_the_one_meant() {
        let known = ["sslmode", "sslrootcert", "host", "info", "error"];
        for (found, meant) in [
            ("ssl_mode", Some("sslmode")),
            ("SSLMode", Some("sslmode")),
            ("ssl-root-cert", Some("sslrootcert")),
            ("hsot", Some("host")),
            ("inof", Some("info")),
            ("x", None),
            ("schema", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, known), meant, "{found}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None, "nothing so long is compared");
    }
}
