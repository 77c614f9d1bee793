//! How two values differ, line by line.

use std::fmt::Debug;

/// Both values as the debugger prints them: common lines once, others behind `-` (expected) or `+` (actual).
pub(super) fn difference(expected: &impl Debug, actual: &impl Debug) -> String {
    let (expected, actual) = (format!("{expected:#?}"), format!("{actual:#?}"));
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let mut lines = vec!["  (- expected, + actual)".to_owned()];
    let (mut rest, mut left) = (&expected[..], &actual[..]);
    for (at, with) in common(&expected, &actual) {
        let (before, after) = (expected.len() - rest.len(), actual.len() - left.len());
        let (gone, behind) = rest.split_at_checked(at - before).unwrap_or((rest, &[]));
        let (come, ahead) = left.split_at_checked(with - after).unwrap_or((left, &[]));
        lines.extend(gone.iter().map(|line| format!("- {line}")));
        lines.extend(come.iter().map(|line| format!("+ {line}")));
        lines.extend(behind.first().map(|line| format!("  {line}")));
        (rest, left) = (behind.get(1..).unwrap_or(&[]), ahead.get(1..).unwrap_or(&[]));
    }
    lines.extend(rest.iter().map(|line| format!("- {line}")));
    lines.extend(left.iter().map(|line| format!("+ {line}")));
    lines.join("\n")
}

/// The places of the lines of a longest common subsequence, in both.
fn common(a: &[&str], b: &[&str]) -> Vec<(usize, usize)> {
    // longest[i][j]: how many lines a[i..] and b[j..] have in common.
    let mut longest = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    let at = |longest: &Vec<Vec<usize>>, i: usize, j: usize| {
        longest.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default()
    };
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let value = if x == y {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(cell) = longest.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = value;
            }
        }
    }
    let (mut i, mut j, mut places) = (0, 0, Vec::new());
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if x == y {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if at(&longest, i + 1, j) >= at(&longest, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}
