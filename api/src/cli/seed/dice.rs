//! Dice that fall the same way every time (SplitMix64), on every machine and with every version.

/// Dice.
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one person.
    pub(super) fn new(seed: u64, number: usize) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number as u64).wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than this.
    pub(super) fn below(&mut self, most: i64) -> i64 {
        (self.next() % most.max(1).unsigned_abs()).cast_signed()
    }

    /// True so many times of a hundred.
    pub(super) fn percent(&mut self, chance: i64) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub(super) fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(of.len() as i64)).ok()?;
        of.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn they_fall_the_same_way_for_the_same_seed_and_otherwise_for_another() {
        let thrown = |seed, number| {
            let mut dice = Dice::new(seed, number);
            (0..20).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(thrown(1, 0), thrown(1, 0));
        assert_ne!(thrown(1, 0), thrown(2, 0));
        assert_ne!(thrown(1, 0), thrown(1, 1));
    }
}
