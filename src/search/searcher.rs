//! A search through a space: asked for points, told their values.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::search::axis::{Axis, Coordinate};
use crate::search::cma::Generations;
use crate::search::tpe;
use crate::space::{BadSpace, How, Point, Sampling, Space};

/// Points that are drawn at random before TPE has learned enough.
pub const STARTUP: usize = 10;

/// Points of a Sobol sequence that are made at once.
const SOBOL: usize = 256;

/// How a search chooses its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The tree-structured Parzen estimator, after so many random points.
    Tpe {
        /// How many.
        startup: usize,
    },
    /// The evolution strategy with covariance matrix adaptation, by generations.
    Cma,
    /// At random.
    Random,
    /// Spread evenly.
    Sobol,
}

impl Default for Method {
    fn default() -> Self {
        Self::Tpe { startup: STARTUP }
    }
}

/// A point that was asked for, and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// Its number among all that were asked for, from 0.
    pub number: usize,
    /// The point.
    pub point: Point,
}

/// A point and what was told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The point.
    pub point: Point,
    /// Its value, the smaller the better; absent: it failed.
    pub value: Option<f64>,
}

/// A search. The same space, seed and answers give the same points, whatever the time between them.
#[derive(Debug, Clone)]
pub struct Searcher {
    space: Space,
    axes: Vec<Axis>,
    method: Method,
    seed: u64,
    told: Vec<Observation>,
    /// Points that were asked for and not told, by number.
    running: BTreeMap<usize, Point>,
    asked: usize,
    /// Points that are to be tried before the method's own.
    queue: VecDeque<Point>,
    generation: Option<Generation>,
}

/// A generation of CMA-ES under way.
#[derive(Debug, Clone)]
struct Generation {
    before: Generations,
    /// Its points that were not asked for yet.
    left: VecDeque<Vec<f64>>,
    /// Its points that were asked for, by number, with their values.
    members: BTreeMap<usize, (Vec<f64>, Option<f64>)>,
}

impl Searcher {
    /// A search through a space.
    ///
    /// # Errors
    /// When a param has no values, or the method cannot have one of that kind.
    pub fn new(space: Space, method: Method, seed: u64) -> Result<Self, BadSpace> {
        // What cannot be sampled cannot be searched.
        space.sample(1, Sampling::default())?;
        let axes = Axis::all(&space);
        if method == Method::Cma {
            if axes.iter().any(|axis| axis.categories().is_some()) {
                return Err(BadSpace::new(
                    "CMA-ES searches ranges of numbers, and this space has a list of values",
                    "take `tpe(space)`, or run one search for each value",
                ));
            }
            if axes.is_empty() {
                return Err(BadSpace::new("there is nothing to search: no param is a range", "write `uniform(0, 1)`"));
            }
        }
        let generation = (method == Method::Cma).then(|| Generation::new(Generations::new(axes.len()), seed, 0));
        Ok(Self {
            space,
            axes,
            method,
            seed,
            told: Vec::new(),
            running: BTreeMap::new(),
            asked: 0,
            queue: VecDeque::new(),
            generation,
        })
    }

    /// Has a point tried before the method's own.
    pub fn enqueue(&mut self, point: Point) {
        self.queue.push_back(point);
    }

    /// What was told, in its order.
    pub fn told(&self) -> &[Observation] {
        &self.told
    }

    /// The best that was told.
    pub fn best(&self) -> Option<(&Point, f64)> {
        let values = self.told.iter().filter_map(|told| Some((&told.point, told.value?)));
        values.min_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    /// The next point; nothing while the method waits to be told of those that run.
    pub fn ask(&mut self) -> Option<Suggestion> {
        let number = self.asked;
        let point = match self.queue.pop_front() {
            Some(point) => self.completed(point, number),
            None => self.own(number)?,
        };
        self.asked += 1;
        self.running.insert(number, point.clone());
        Some(Suggestion { number, point })
    }

    /// Tells the value of a point by its number, the smaller the better; without one it failed.
    pub fn tell(&mut self, number: usize, value: Option<f64>) {
        let Some(point) = self.running.remove(&number) else { return };
        let value = value.filter(|value| !value.is_nan());
        self.told.push(Observation { point, value });
        let Some(generation) = &mut self.generation else { return };
        if let Some((_, told)) = generation.members.get_mut(&number) {
            *told = Some(value.unwrap_or(f64::INFINITY));
        }
        if generation.left.is_empty() && generation.members.values().all(|(_, value)| value.is_some()) {
            let mut learned = generation.before.clone();
            let members = std::mem::take(&mut generation.members).into_values();
            learned.learn(members.map(|(point, value)| (point, value.unwrap_or(f64::INFINITY))).collect());
            *generation = Generation::new(learned, self.seed, self.asked);
        }
    }

    /// Tells the value of a point that was never asked for.
    pub fn learn(&mut self, point: Point, value: Option<f64>) {
        self.told.push(Observation { point, value: value.filter(|value| !value.is_nan()) });
    }

    /// The number of the point that was asked for, was not told, and is among these params.
    pub fn number_within(&self, params: &Point) -> Option<usize> {
        let is_within = |point: &Point| point.iter().all(|(name, value)| params.get(name) == Some(value));
        self.running.iter().find(|(_, running)| is_within(running)).map(|(number, _)| *number)
    }

    /// A point with the values that it lacks drawn at random.
    fn completed(&self, mut point: Point, number: usize) -> Point {
        for (name, value) in self.random(number) {
            point.entry(name).or_insert(value);
        }
        point
    }

    fn own(&mut self, number: usize) -> Option<Point> {
        let mut point = self.random(number);
        match self.method {
            Method::Random => {}
            Method::Sobol => {
                let sampling = Sampling { seed: self.seed, how: How::Sobol };
                let count = (number / SOBOL + 1) * SOBOL;
                point = self.space.sample(count, sampling).ok()?.swap_remove(number);
            }
            Method::Tpe { startup } => {
                let places = |point: &Point| self.axes.iter().map(|axis| axis.place(point)).collect::<Option<Vec<_>>>();
                let worst = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
                let told: Vec<(Vec<Coordinate>, f64)> =
                    self.told.iter().filter_map(|told| Some((places(&told.point)?, worst(told.value)))).collect();
                if told.len() >= startup.max(1) && !self.axes.is_empty() {
                    let running: Vec<_> = self.running.values().filter_map(places).collect();
                    let next = tpe::next(&self.axes, &told, &running, &mut source(self.seed, number));
                    self.axes.iter().zip(next).for_each(|(axis, at)| axis.set(&mut point, at));
                }
            }
            Method::Cma => {
                let generation = self.generation.as_mut()?;
                let next = generation.left.pop_front()?;
                self.axes.iter().zip(&next).for_each(|(axis, at)| axis.set(&mut point, *at));
                generation.members.insert(number, (next, None));
            }
        }
        Some(point)
    }

    /// A random point; each number has its own.
    fn random(&self, number: usize) -> Point {
        let sampling = Sampling { seed: source(self.seed, number).random(), how: How::Random };
        let drawn = self.space.sample(1, sampling);
        drawn.ok().and_then(|mut points| points.pop()).unwrap_or_default()
    }
}

impl Generation {
    fn new(before: Generations, seed: u64, asked: usize) -> Self {
        let left = before.draw(&mut source(seed, asked)).into();
        Self { before, left, members: BTreeMap::new() }
    }
}

/// The source of numbers for one question: it depends on nothing else.
fn source(seed: u64, number: usize) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use serde_json::{Value, json};

    use super::{Method, Searcher};
    use crate::search::cma;
    use crate::space::{Point, Space};

    fn searcher(space: &Value, method: Method, seed: u64) -> Searcher {
        Searcher::new(Space::read(space.as_object().unwrap()).unwrap(), method, seed).unwrap()
    }

    /// Asks and tells so often, with that many points at once; the value of the best.
    fn search(mut searcher: Searcher, trials: usize, width: usize, value: impl Fn(&Point) -> Option<f64>) -> f64 {
        let mut running = Vec::new();
        let mut asked = 0;
        loop {
            while asked < trials && running.len() < width {
                let Some(next) = searcher.ask() else { break };
                running.push(next);
                asked += 1;
            }
            if running.is_empty() {
                return searcher.best().map_or(f64::INFINITY, |(_, best)| best);
            }
            let done = running.remove(0);
            searcher.tell(done.number, value(&done.point));
        }
    }

    fn number(point: &Point, name: &str) -> f64 {
        point[name].as_f64().unwrap()
    }

    fn branin(point: &Point) -> Option<f64> {
        let (x, y) = (number(point, "x"), number(point, "y"));
        let inner = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
        Some(inner * inner + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0 - 0.397_887)
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    #[test]
    fn searches_find_the_minimum_of_branin() {
        let space = json!({"x": {"from": -5.0, "to": 10.0}, "y": {"from": 0.0, "to": 15.0}});
        let regret = |method, width| {
            median((0..9).map(|seed| search(searcher(&space, method, seed), 60, width, branin)).collect())
        };
        let random = regret(Method::Random, 1);
        for (method, width, at_most) in [
            (Method::default(), 1, 0.3),
            (Method::default(), 8, 0.4),
            (Method::Cma, 1, 0.3),
            (Method::Cma, 8, 0.3),
            (Method::Sobol, 1, 2.0),
        ] {
            let found = regret(method, width);
            assert!(found < at_most, "{method:?} {width}: {found}, random {random}");
        }
        assert!(random < 5.0, "{random}");
    }

    #[test]
    fn tpe_learns_categories_and_whole_numbers() {
        let space = json!({"act": ["a", "b", "c", "d"], "n": {"from": 1, "to": 20}, "lr": {"from": 1e-5, "to": 1.0, "log": true}});
        let value = |point: &Point| {
            let off = if point["act"] == "c" { 0.0 } else { 3.0 };
            Some(off + (number(point, "n") - 7.0).abs() * 0.3 + (number(point, "lr").log10() + 3.0).abs())
        };
        let best = |method| median((0..9).map(|seed| search(searcher(&space, method, seed), 80, 4, value)).collect());
        let (tpe, random) = (best(Method::default()), best(Method::Random));
        assert!(tpe < 0.35 && tpe < random * 0.6, "{tpe} {random}");
    }

    #[test]
    fn the_same_answers_give_the_same_questions() {
        let space = json!({"x": {"from": -5.0, "to": 10.0}, "y": {"from": 0.0, "to": 15.0}});
        for method in [Method::default(), Method::Cma, Method::Random, Method::Sobol] {
            let (mut one, mut other) = (searcher(&space, method, 3), searcher(&space, method, 3));
            for _ in 0..40 {
                let (Some(left), right) = (one.ask(), other.ask()) else { break };
                assert_eq!(Some(&left), right.as_ref());
                let value = branin(&left.point);
                one.tell(left.number, value);
                other.tell(left.number, value);
            }
            assert_eq!(one.told().len(), 40, "{method:?}");
        }
    }

    #[test]
    fn a_generation_waits_for_all_of_it() {
        let mut searcher = searcher(&json!({"x": {"from": 0.0, "to": 1.0}}), Method::Cma, 1);
        let size = cma::size(1);
        let asked: Vec<_> = (0..size).map(|_| searcher.ask().unwrap()).collect();
        assert_eq!(searcher.ask(), None);
        for one in &asked[1..] {
            searcher.tell(one.number, Some(number(&one.point, "x")));
            assert_eq!(searcher.ask(), None);
        }
        searcher.tell(asked[0].number, None);
        assert!(searcher.ask().is_some());
    }

    #[test]
    fn what_is_enqueued_comes_first_and_failures_are_the_worst() {
        let mut searcher = searcher(&json!({"x": {"from": 0.0, "to": 1.0}, "k": [1, 2]}), Method::default(), 1);
        searcher.enqueue(json!({"x": 0.25}).as_object().unwrap().clone());
        let first = searcher.ask().unwrap();
        assert_eq!(first.point["x"], 0.25);
        assert!(first.point["k"].is_i64());
        assert_eq!(searcher.number_within(&first.point), Some(0));
        searcher.tell(first.number, None);
        let second = searcher.ask().unwrap();
        searcher.tell(second.number, Some(2.0));
        assert_eq!(searcher.best(), Some((&second.point, 2.0)));
        for _ in 0..15 {
            let next = searcher.ask().unwrap();
            searcher.tell(next.number, Some(f64::NAN));
        }
        assert_eq!(searcher.told().len(), 17);
    }

    #[test]
    fn what_cannot_be_searched_is_told() {
        let wrong = |space: Value, method| Searcher::new(Space::read(space.as_object().unwrap()).unwrap(), method, 0);
        assert!(wrong(json!({"a": []}), Method::Random).is_err());
        assert!(wrong(json!({"a": [1, 2]}), Method::Cma).is_err());
        assert!(wrong(json!({"a": 1}), Method::Cma).is_err());
    }
}
