use std::any::Any;
use std::fmt;
use std::sync::OnceLock;

/// Something that was made of a value once and is kept beside it, because it would be made again and again: an
/// encoding, say. It is no part of the value: two that differ in nothing else are equal, and a copy begins without.
#[derive(Default)]
pub struct Memo(OnceLock<Box<dyn Any + Send + Sync>>);

impl Memo {
    /// What is kept, made now if this is the first time; `None` where something of another type is kept already.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_made_once_and_belongs_to_one_type() {
        let memo = Memo::default();
        assert_eq!(memo.get_or_make(|| 1_u8), Some(&1));
        assert_eq!(memo.get_or_make(|| 2_u8), Some(&1));
        assert_eq!(memo.get_or_make(|| "another type"), None);
        assert_eq!(memo.clone().get_or_make(|| 3_u8), Some(&3), "a copy begins without");
    }
}
