//! TPE, the tree-structured Parzen estimator: tries next what is likely among the good points and unlikely among the rest.
//!
//! As Optuna 5 does it: all params together (a kernel is a product over them), a tenth of the points, at most 25, count as
//! good, of older points weigh less, a kernel is as wide as the distance to its farther neighbour, one wide kernel stands for
//! what is known beforehand, and the best of 24 draws is taken. What runs counts as bad, so that no two ask for the same.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::search::axis::{Axis, Coordinate};
use crate::search::normal;

/// Draws of which the likeliest good one is taken.
const DRAWS: usize = 24;

/// Most points that count as good.
const MOST_GOOD: usize = 25;

/// The latest points that weigh alike; older ones weigh less.
const FLAT: usize = 25;

/// Most kernels that narrow a range: a kernel is at least a hundredth of it.
const NARROWEST: f64 = 100.0;

/// The next point, as a place on each axis. `told` are points with their values, the smaller the better, in the order in which
/// they were told; `running` are points that were not told yet.
pub(super) fn next(
    axes: &[Axis],
    told: &[(Vec<Coordinate>, f64)],
    running: &[Vec<Coordinate>],
    source: &mut Xoshiro256PlusPlus,
) -> Vec<f64> {
    let mut order: Vec<usize> = (0..told.len()).collect();
    order.sort_by(|one, other| told[*one].1.total_cmp(&told[*other].1));
    let count = told.len().div_ceil(10).min(MOST_GOOD);
    let (mut good, mut rest) = (order[..count].to_vec(), order[count..].to_vec());
    good.sort_unstable();
    rest.sort_unstable();
    let points = |places: &[usize]| places.iter().map(|place| told[*place].0.as_slice()).collect::<Vec<_>>();
    let good = Kernels::new(axes, &points(&good));
    let rest = Kernels::new(axes, &[points(&rest), running.iter().map(Vec::as_slice).collect()].concat());
    let drawn = (0..DRAWS).map(|_| {
        let places = good.draw(axes, source);
        let gain = good.log_density(&places) - rest.log_density(&places);
        (gain, places)
    });
    let best = drawn.max_by(|(one, _), (other, _)| one.total_cmp(other)).expect("there are draws");
    best.1.into_iter().map(Coordinate::middle).collect()
}

/// A density over a space: a sum of kernels, each a product over the axes.
struct Kernels {
    /// Their weights, which add up to 1.
    weights: Vec<f64>,
    /// For each axis, the kernels on it.
    axes: Vec<AxisKernels>,
}

enum AxisKernels {
    /// Middles and widths of normal distributions, cut off at 0 and 1.
    Numbers(Vec<(f64, f64)>),
    /// For each kernel, the share of each category.
    Categories(Vec<Vec<f64>>),
}

impl Kernels {
    fn new(axes: &[Axis], points: &[&[Coordinate]]) -> Self {
        let mut weights = weights(points.len());
        weights.push(1.0);
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let on = |(number, axis): (usize, &Axis)| match axis.categories() {
            Some(of) => {
                let before = 1.0 / (points.len() + 1) as f64;
                let row = |chosen: Option<usize>| {
                    let counts = (0..of).map(|category| before + f64::from(u8::from(Some(category) == chosen)));
                    let counts: Vec<f64> = counts.collect();
                    let sum: f64 = counts.iter().sum();
                    counts.into_iter().map(|count| count / sum).collect()
                };
                let chosen = |point: &&[Coordinate]| match point[number] {
                    Coordinate::Category(number) => Some(number),
                    Coordinate::Number { .. } => None,
                };
                AxisKernels::Categories(points.iter().map(chosen).chain([None]).map(row).collect())
            }
            None => AxisKernels::Numbers(widths(points.iter().map(|point| point[number].middle()).collect())),
        };
        Self { weights, axes: axes.iter().enumerate().map(on).collect() }
    }

    /// A point of this density.
    fn draw(&self, axes: &[Axis], source: &mut Xoshiro256PlusPlus) -> Vec<Coordinate> {
        let kernel = chosen(&self.weights, source);
        let on = |(axis, kernels): (&Axis, &AxisKernels)| match kernels {
            AxisKernels::Numbers(numbers) => {
                let (middle, width) = numbers[kernel];
                let inside =
                    (0..100).map(|_| middle + width * normal::normal(source)).find(|x| (0.0..=1.0).contains(x));
                axis.around(inside.unwrap_or_else(|| source.random()))
            }
            AxisKernels::Categories(shares) => Coordinate::Category(chosen(&shares[kernel], source)),
        };
        axes.iter().zip(&self.axes).map(on).collect()
    }

    fn log_density(&self, places: &[Coordinate]) -> f64 {
        let of = |kernel: usize| {
            let on = |(kernels, place): (&AxisKernels, &Coordinate)| kernels.log_density(kernel, *place);
            self.weights[kernel].ln() + self.axes.iter().zip(places).map(on).sum::<f64>()
        };
        let parts: Vec<f64> = (0..self.weights.len()).map(of).collect();
        let most = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + parts.iter().map(|part| (part - most).exp()).sum::<f64>().ln()
    }
}

impl AxisKernels {
    fn log_density(&self, kernel: usize, place: Coordinate) -> f64 {
        match (self, place) {
            (Self::Numbers(numbers), Coordinate::Number { from, to }) => {
                let (middle, width) = numbers[kernel];
                let share = |at: f64| normal::below((at - middle) / width);
                let whole = (share(1.0) - share(0.0)).max(1e-12);
                if from < to {
                    return ((share(to) - share(from)).max(1e-12) / whole).ln();
                }
                let z = (from - middle) / width;
                -0.5 * z * z - width.ln() - 0.5 * std::f64::consts::TAU.ln() - whole.ln()
            }
            (Self::Categories(shares), Coordinate::Category(number)) => shares[kernel][number].ln(),
            _ => unreachable!("a place lies on its own axis"),
        }
    }
}

/// The weights of points in the order in which they were told.
fn weights(count: usize) -> Vec<f64> {
    let ramp = count.saturating_sub(FLAT);
    let least = 1.0 / count.max(1) as f64;
    let weight = |place: usize| match place < ramp {
        true => least + (1.0 - least) * place as f64 / (ramp.max(2) - 1) as f64,
        false => 1.0,
    };
    (0..count).map(weight).collect()
}

/// Kernels around these middles, each as wide as the distance to its farther neighbour, and a wide one.
fn widths(middles: Vec<f64>) -> Vec<(f64, f64)> {
    let count = middles.len();
    let least = 1.0 / NARROWEST.min(count as f64 + 2.0);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| middles[*one].total_cmp(&middles[*other]));
    let mut kernels: Vec<(f64, f64)> = middles.iter().map(|middle| (*middle, 1.0)).collect();
    for (place, &kernel) in order.iter().enumerate() {
        let gap = |other: Option<usize>| other.map(|other| (middles[order[other]] - middles[kernel]).abs());
        let (before, after) = (gap(place.checked_sub(1)), gap(Some(place + 1).filter(|next| *next < count)));
        // A point without any neighbour is as far from the farther end.
        let width = match (before, after) {
            (None, None) => middles[kernel].max(1.0 - middles[kernel]),
            (before, after) => before.unwrap_or(0.0).max(after.unwrap_or(0.0)),
        };
        kernels[kernel].1 = width.clamp(least, 1.0);
    }
    kernels.push((0.5, 1.0));
    kernels
}

/// One of some places by their weights, which add up to 1.
fn chosen(weights: &[f64], source: &mut Xoshiro256PlusPlus) -> usize {
    let mut left = source.random::<f64>();
    let found = weights.iter().position(|weight| {
        left -= weight;
        left <= 0.0
    });
    found.unwrap_or(weights.len() - 1)
}
