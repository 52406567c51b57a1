//! CMA-ES, the evolution strategy with covariance matrix adaptation (Hansen): generations of points around a mean, whose
//! shape follows the better half of each. Generations, and not points one by one: what it learns is worth the waiting.

use rand::rngs::Xoshiro256PlusPlus;

use crate::search::normal;

/// Tries to draw a point inside of the space before it is brought to the border.
const TRIES: usize = 100;

/// What is known after some generations, in a space from 0 to 1 on every axis.
#[derive(Debug, Clone)]
pub(super) struct Generations {
    /// How many there were.
    count: i32,
    mean: Vec<f64>,
    /// The step size.
    sigma: f64,
    /// The paths of the mean, for the shape and for the step size.
    shape_path: Vec<f64>,
    step_path: Vec<f64>,
    /// The covariance matrix.
    shape: Vec<Vec<f64>>,
}

/// The constants of the method for a number of axes; see Hansen, "The CMA Evolution Strategy: A Tutorial" (2016).
struct Rates {
    /// The weights of the better half, the best first.
    weights: Vec<f64>,
    effective: f64,
    shape_path: f64,
    step_path: f64,
    one: f64,
    better: f64,
    damping: f64,
    /// The expected length of a normal vector.
    length: f64,
}

/// The number of points of a generation.
pub(super) fn size(axes: usize) -> usize {
    4 + (3.0 * (axes as f64).ln()).floor() as usize
}

impl Rates {
    fn new(axes: usize) -> Self {
        let (n, size) = (axes as f64, size(axes));
        let raw = (1..=size / 2).map(|rank| (size as f64).midpoint(1.0).ln() - (rank as f64).ln());
        let raw: Vec<f64> = raw.collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.into_iter().map(|weight| weight / sum).collect();
        let effective = 1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let shape_path = (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n);
        let step_path = (effective + 2.0) / (n + effective + 5.0);
        let one = 2.0 / ((n + 1.3).powi(2) + effective);
        let better = (1.0 - one).min(2.0 * (effective - 2.0 + 1.0 / effective) / ((n + 2.0).powi(2) + effective));
        let damping = 1.0 + 2.0 * (((effective - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + step_path;
        let length = n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
        Self { weights, effective, shape_path, step_path, one, better, damping, length }
    }
}

impl Generations {
    pub(super) fn new(axes: usize) -> Self {
        let shape = (0..axes).map(|row| (0..axes).map(|column| f64::from(u8::from(row == column))).collect()).collect();
        let zeros = vec![0.0; axes];
        Self { count: 0, mean: vec![0.5; axes], sigma: 1.0 / 6.0, shape_path: zeros.clone(), step_path: zeros, shape }
    }

    /// The points of the next generation.
    pub(super) fn draw(&self, source: &mut Xoshiro256PlusPlus) -> Vec<Vec<f64>> {
        let (lengths, directions) = eigen(&self.shape);
        let mut one = || {
            let steps: Vec<f64> = lengths.iter().map(|length| length.sqrt() * normal::normal(source)).collect();
            let along = |row: usize| directions[row].iter().zip(&steps).map(|(part, step)| part * step).sum::<f64>();
            self.mean.iter().enumerate().map(|(row, mean)| mean + self.sigma * along(row)).collect::<Vec<f64>>()
        };
        let is_inside = |point: &Vec<f64>| point.iter().all(|at| (0.0..=1.0).contains(at));
        let mut point = || {
            let mut drawn = one();
            for _ in 1..TRIES {
                if is_inside(&drawn) {
                    break;
                }
                drawn = one();
            }
            drawn.into_iter().map(|at| at.clamp(0.0, 1.0)).collect()
        };
        (0..size(self.mean.len())).map(|_| point()).collect()
    }

    /// Learns from a generation: its points and their values, the smaller the better.
    pub(super) fn learn(&mut self, mut points: Vec<(Vec<f64>, f64)>) {
        let axes = self.mean.len();
        let rates = Rates::new(axes);
        points.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        let old = self.mean.clone();
        let better: Vec<(&f64, &Vec<f64>)> = rates.weights.iter().zip(points.iter().map(|(point, _)| point)).collect();
        self.mean = (0..axes).map(|axis| better.iter().map(|(weight, point)| *weight * point[axis]).sum()).collect();
        let moved: Vec<f64> = self.mean.iter().zip(&old).map(|(new, old)| (new - old) / self.sigma).collect();
        let (lengths, directions) = eigen(&self.shape);
        let turned = |column: usize| (0..axes).map(|row| directions[row][column] * moved[row]).sum::<f64>();
        let scaled: Vec<f64> = (0..axes).map(|column| turned(column) / lengths[column].sqrt()).collect();
        let rate = rates.step_path;
        for (row, path) in self.step_path.iter_mut().enumerate() {
            let back = directions[row].iter().zip(&scaled).map(|(part, at)| part * at).sum::<f64>();
            *path = (1.0 - rate) * *path + (rate * (2.0 - rate) * rates.effective).sqrt() * back;
        }
        self.count += 1;
        let length = self.step_path.iter().map(|part| part * part).sum::<f64>().sqrt();
        let settled = length / (1.0 - (1.0 - rate).powi(2 * self.count)).sqrt() / rates.length;
        let goes_on = f64::from(u8::from(settled < 1.4 + 2.0 / (axes as f64 + 1.0)));
        let rate = rates.shape_path;
        for (path, moved) in self.shape_path.iter_mut().zip(&moved) {
            *path = (1.0 - rate) * *path + goes_on * (rate * (2.0 - rate) * rates.effective).sqrt() * moved;
        }
        let kept = (1.0 - goes_on) * rate * (2.0 - rate);
        for row in 0..axes {
            for column in 0..axes {
                let step = |point: &[f64], axis: usize| (point[axis] - old[axis]) / self.sigma;
                let rank: f64 =
                    better.iter().map(|(weight, point)| *weight * step(point, row) * step(point, column)).sum();
                let one = self.shape_path[row] * self.shape_path[column] + kept * self.shape[row][column];
                let old = (1.0 - rates.one - rates.better) * self.shape[row][column];
                self.shape[row][column] = old + rates.one * one + rates.better * rank;
            }
        }
        let growth = (rates.step_path / rates.damping) * (length / rates.length - 1.0);
        self.sigma = (self.sigma * growth.exp()).min(1.0);
    }
}

/// The eigenvalues of a symmetric matrix, and its eigenvectors as columns (Jacobi's method).
fn eigen(matrix: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = matrix.len();
    let mut left = matrix.to_vec();
    let mut vectors: Vec<Vec<f64>> =
        (0..n).map(|row| (0..n).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    for _sweep in 0..60 {
        for one in 0..n {
            for other in one + 1..n {
                if left[one][other].abs() < 1e-15 {
                    continue;
                }
                let theta = (left[other][other] - left[one][one]) / (2.0 * left[one][other]);
                let tangent =
                    if theta == 0.0 { 1.0 } else { theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt()) };
                let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sine = tangent * cosine;
                let turn = |(x, y): (f64, f64)| (cosine * x - sine * y, sine * x + cosine * y);
                for row in left.iter_mut().chain(vectors.iter_mut()) {
                    (row[one], row[other]) = turn((row[one], row[other]));
                }
                // `one` comes before `other`.
                let (head, tail) = left.split_at_mut(other);
                for (upper, lower) in head[one].iter_mut().zip(&mut tail[0]) {
                    (*upper, *lower) = turn((*upper, *lower));
                }
            }
        }
    }
    ((0..n).map(|at| left[at][at].max(1e-20)).collect(), vectors)
}
