//! How near searches come to the minimum of four functions in 100 trials: the median regret of 100 seeds and its quartiles, one
//! at a time and eight in flight. `benches/search` prints it beside Optuna's.

use std::f64::consts::PI;
use std::io::Write;
use std::time::Instant;

use combu::search::{Method, Searcher};
use combu::space::{Point, Space};
use serde_json::json;

const TRIALS: usize = 100;
const SEEDS: u64 = 100;

type Function = fn(&[f64]) -> f64;

/// A function, its bounds, and its least value.
struct Case {
    name: &'static str,
    bounds: Vec<(f64, f64)>,
    function: Function,
    least: f64,
}

fn branin(x: &[f64]) -> f64 {
    let inner = x[1] - 5.1 / (4.0 * PI * PI) * x[0] * x[0] + 5.0 / PI * x[0] - 6.0;
    inner * inner + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x[0].cos() + 10.0
}

fn hartmann(x: &[f64]) -> f64 {
    const HEIGHT: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const STEEP: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const MIDDLE: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let hill = |k: usize| {
        let far: f64 = (0..6).map(|i| STEEP[k][i] * (x[i] - MIDDLE[k][i]).powi(2)).sum();
        HEIGHT[k] * (-far).exp()
    };
    -(0..4).map(hill).sum::<f64>()
}

fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2)).sum()
}

fn best(bounds: &[(f64, f64)], function: Function, method: Method, seed: u64, width: usize) -> f64 {
    let space: serde_json::Map<_, _> = bounds
        .iter()
        .enumerate()
        .map(|(axis, (from, to))| (format!("x{axis}"), json!({"from": from, "to": to, "whole": false})))
        .collect();
    let mut searcher = Searcher::new(Space::read(&space).expect("a space"), method, seed).expect("a search");
    let value = |point: &Point| {
        let x: Vec<f64> =
            (0..bounds.len()).map(|axis| point[&format!("x{axis}")].as_f64().expect("a number")).collect();
        function(&x)
    };
    let mut running = std::collections::VecDeque::new();
    let mut asked = 0;
    loop {
        while asked < TRIALS && running.len() < width {
            let Some(next) = searcher.ask() else { break };
            running.push_back(next);
            asked += 1;
        }
        let Some(done) = running.pop_front() else { break };
        searcher.tell(done.number, Some(value(&done.point)));
    }
    searcher.best().map_or(f64::INFINITY, |(_, best)| best)
}

fn main() {
    let mut out = std::io::stdout().lock();
    let functions = [
        Case { name: "branin", bounds: vec![(-5.0, 10.0), (0.0, 15.0)], function: branin, least: 0.397_887 },
        Case { name: "hartmann6", bounds: vec![(0.0, 1.0); 6], function: hartmann, least: -3.322_37 },
        Case { name: "rosenbrock2", bounds: vec![(-2.0, 2.0); 2], function: rosenbrock, least: 0.0 },
        Case { name: "rosenbrock5", bounds: vec![(-2.0, 2.0); 5], function: rosenbrock, least: 0.0 },
    ];
    let methods =
        [("tpe", Method::default()), ("cma", Method::Cma), ("random", Method::Random), ("sobol", Method::Sobol)];
    for Case { name, bounds, function, least } in &functions {
        for width in [1, 8] {
            for (method_name, method) in methods {
                let began = Instant::now();
                let regret = |seed| best(bounds, *function, method, seed, width) - least;
                let mut regrets: Vec<f64> = (0..SEEDS).map(regret).collect();
                regrets.sort_by(f64::total_cmp);
                let took = began.elapsed().as_secs_f64() / SEEDS as f64;
                let (low, middle, high) = (regrets[25], f64::midpoint(regrets[49], regrets[50]), regrets[75]);
                writeln!(
                    out,
                    "{name:12} {width} in flight  combu {method_name:8} {middle:9.4}  ({low:.4} to {high:.4})  {took:.4} s"
                )
                .expect("stdout takes a line");
            }
        }
    }
}
