//! The dependency graph: its edges, depths, and the circle that keeps trials from having one.

use serde::Serialize;

use crate::model::trial::Condition;

/// A resolved edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Index of the prerequisite.
    pub on: usize,
    /// What is awaited.
    pub condition: Condition,
}

/// Trials by dependency depth, or one circle of trials that depend on each other (first = last).
pub(super) fn groups(waits: &[Vec<Wait>]) -> Result<Vec<Vec<usize>>, Vec<usize>> {
    let mut open: Vec<usize> = waits.iter().map(Vec::len).collect();
    let mut dependants = vec![Vec::new(); waits.len()];
    for (trial, waits) in waits.iter().enumerate() {
        for wait in waits {
            dependants[wait.on].push(trial);
        }
    }
    let mut groups = Vec::new();
    let mut group: Vec<usize> = (0..waits.len()).filter(|&trial| open[trial] == 0).collect();
    let mut placed = 0;
    while !group.is_empty() {
        placed += group.len();
        let mut next = Vec::new();
        for &trial in &group {
            for &dependant in &dependants[trial] {
                open[dependant] -= 1;
                if open[dependant] == 0 {
                    next.push(dependant);
                }
            }
        }
        next.sort_unstable();
        groups.push(std::mem::replace(&mut group, next));
    }
    if placed == waits.len() { Ok(groups) } else { Err(circle(waits, &open)) }
}

/// Follows prerequisites that are still open until one comes up twice: they all lie on or lead into a circle.
fn circle(waits: &[Vec<Wait>], open: &[usize]) -> Vec<usize> {
    let mut seen_at = vec![None; waits.len()];
    let mut path = Vec::new();
    let mut next = open.iter().position(|&open| open > 0);
    while let Some(trial) = next {
        if let Some(start) = seen_at[trial] {
            path.push(trial);
            return path.split_off(start);
        }
        seen_at[trial] = Some(path.len());
        path.push(trial);
        next = waits[trial].iter().map(|wait| wait.on).find(|&on| open[on] > 0);
    }
    path
}
