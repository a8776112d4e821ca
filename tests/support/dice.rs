//! Chance that comes the same every time, for runs that must be repeated.

/// Throws numbers (xorshift; Marsaglia, 2003).
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below a bound.
    pub fn roll(&mut self, bound: u64) -> u64 {
        (self.bits() >> 11) % bound
    }

    /// A place in something that has so many.
    pub fn place(&mut self, length: usize) -> usize {
        self.roll(length.max(1) as u64) as usize
    }

    /// One of several.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.place(of.len())]
    }

    /// Whether something of so many in a hundred happens.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}
