//! Shares: how tasks divide over categories, and which part of everything is completed.
//! Promise: shares sum to 1, and nothing is divided by nothing.

use std::collections::BTreeMap;

/// What is shown for things without a category.
pub const UNCATEGORIZED: &str = "Uncategorized";

/// One category's part of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The category's name, or [`UNCATEGORIZED`].
    pub category: String,
    /// How many.
    pub count: u32,
    /// The part of all, above 0 and up to 1.
    pub share: f64,
}

/// The counts as parts of their sum, the greatest first, equal ones by name. Empty when there is nothing to divide.
///
/// Categories without anything are left out, and equal names become one: a category that someone has called
/// "Uncategorized" is the same line as none at all.
#[must_use]
pub fn distribution(counts: impl IntoIterator<Item = (Option<String>, u32)>) -> Vec<Share> {
    let mut by_name = BTreeMap::<String, u32>::new();
    for (category, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        let sum = by_name.entry(category.unwrap_or_else(|| UNCATEGORIZED.to_owned())).or_default();
        *sum = sum.saturating_add(count);
    }
    let total: f64 = by_name.values().map(|count| f64::from(*count)).sum();
    let part = |(category, count)| Share { category, count, share: f64::from(count) / total };
    let mut shares: Vec<Share> = by_name.into_iter().map(part).collect();
    // Stable, so that equal counts keep the order of the names.
    shares.sort_by_key(|share| std::cmp::Reverse(share.count));
    shares
}

/// The part of `total` that is `completed`. None: there is nothing that could be completed.
#[must_use]
pub fn completion_rate(completed: u32, total: u32) -> Option<f64> {
    (total > 0).then(|| f64::from(completed.min(total)) / f64::from(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(counts: &[(Option<&str>, u32)]) -> Vec<(String, u32)> {
        let shares = distribution(counts.iter().map(|(name, count)| (name.map(str::to_owned), *count)));
        shares.into_iter().map(|share| (share.category, share.count)).collect()
    }

    #[test]
    fn the_greatest_comes_first_and_equal_ones_by_name() {
        let counts = [(Some("Work"), 2), (None, 5), (Some("Art"), 2), (Some("Home"), 7), (Some("Zoo"), 0)];
        let expected = [("Home", 7), ("Uncategorized", 5), ("Art", 2), ("Work", 2)];
        assert_eq!(lines(&counts), expected.map(|(name, count)| (name.to_owned(), count)));
        let same = [(None, 1), (Some("Uncategorized"), 2)];
        assert_eq!(lines(&same), [("Uncategorized".to_owned(), 3)]);
    }

    #[test]
    fn nothing_has_no_shares() {
        assert_eq!(distribution([]), []);
        assert_eq!(distribution([(None, 0), (Some("Work".to_owned()), 0)]), []);
    }

    #[test]
    fn shares_sum_to_one() {
        for categories in [1, 2, 3, 7, 49, 999, 10_000] {
            for step in [0, 1, 7_919, 429_496] {
                let counts = (0..categories).map(|n| (Some(n.to_string()), 1 + n * step));
                let shares = distribution(counts);
                let sum: f64 = shares.iter().map(|share| share.share).sum();
                assert!((sum - 1.0).abs() < 1e-9, "{categories} {step}: {sum}");
                assert!(shares.iter().all(|share| share.share > 0.0 && share.share <= 1.0));
            }
        }
    }

    #[test]
    fn the_completion_rate_of_nothing_is_none() {
        let rates = [completion_rate(0, 0), completion_rate(0, 4), completion_rate(1, 4), completion_rate(4, 4)];
        assert_eq!(rates, [None, Some(0.0), Some(0.25), Some(1.0)]);
        assert_eq!(completion_rate(5, 4), Some(1.0), "never above one");
    }
}
