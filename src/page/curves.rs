//! Values of metrics for curves: all of a short curve, evenly spaced ones of a long one.

use serde_json::{Value, json};

/// Limit of the values that a curve keeps; past twice as many, every second one goes.
const MOST: usize = 1000;

/// The values of one metric of a trial's last attempt.
#[derive(Debug, Default)]
pub(super) struct PageCurve {
    points: Vec<PageValue>,
    /// How many values were told in all.
    told: usize,
    /// Every so many of them is kept; 0 stands for 1.
    stride: usize,
    /// The value told last, where it was not kept: a curve ends where it ends.
    last: Option<PageValue>,
    /// How many of the points the page has.
    sent: usize,
    /// Whether the page has to take them anew.
    is_new: bool,
}

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PageValue {
    /// The step it was told for, if one was said.
    pub(super) step: Option<u64>,
    /// When it was heard, in milliseconds since 1970-01-01 UTC.
    pub(super) at: u64,
    /// The value; never NaN nor infinite.
    pub(super) value: f64,
}

impl PageCurve {
    /// Takes one more value.
    pub(super) fn add(&mut self, point: PageValue) {
        let stride = self.stride.max(1);
        if self.told.is_multiple_of(stride) {
            self.points.push(point);
            self.last = None;
        } else {
            self.last = Some(point);
        }
        self.told += 1;
        if self.points.len() >= 2 * MOST {
            self.thin();
        }
    }

    /// Leaves out every second point.
    fn thin(&mut self) {
        let last = self.last.or(self.points.last().copied());
        let mut place = 0;
        self.points.retain(|_| {
            place += 1;
            place % 2 == 1
        });
        self.stride = 2 * self.stride.max(1);
        self.last = last.filter(|last| self.points.last() != Some(last));
        (self.sent, self.is_new) = (0, true);
    }

    /// Leaves out points until there are at most so many.
    pub(super) fn limit(&mut self, most: usize) {
        while self.points.len() > most.max(2) {
            self.thin();
        }
    }

    /// The number of values that the page gets.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// What the page does not have yet, in the form it takes; `None`: it has everything.
    pub(super) fn news(&mut self, whole: bool) -> Option<Value> {
        let from = if whole || self.is_new { 0 } else { self.sent };
        let new = self.points.get(from..).unwrap_or_default();
        // The last value, where the stride has left it out, is for a page that takes everything at once.
        let last = self.last.filter(|_| whole);
        if new.is_empty() && last.is_none() {
            return None;
        }
        let new: Vec<PageValue> = new.iter().copied().chain(last).collect();
        if !whole {
            (self.sent, self.is_new) = (self.points.len(), false);
        }
        let has_steps = new.iter().any(|point| point.step.is_some());
        let steps: Option<Vec<_>> = has_steps.then(|| new.iter().map(|point| point.step).collect());
        let at: Vec<u64> = new.iter().map(|point| point.at).collect();
        let values: Vec<f64> = new.iter().map(|point| point.value).collect();
        Some(json!({"step": steps, "at": at, "value": values, "of": self.told, "from": from}))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MOST, PageCurve, PageValue};

    fn point(place: usize) -> PageValue {
        PageValue { step: Some(place as u64), at: 1000 + place as u64, value: place as f64 }
    }

    #[test]
    fn a_long_curve_is_thinned_evenly_and_ends_where_it_ends() {
        let mut curve = PageCurve::default();
        (0..20_000).for_each(|place| curve.add(point(place)));
        assert!(curve.len() < 2 * MOST, "{}", curve.len());
        let news = curve.news(true).unwrap();
        let steps: Vec<u64> = news["step"].as_array().unwrap().iter().map(|step| step.as_u64().unwrap()).collect();
        assert_eq!((steps[0], steps[1], *steps.last().unwrap()), (0, 16, 19_999));
        assert!(steps[..steps.len() - 1].windows(2).all(|two| two[1] - two[0] == 16));
        assert_eq!(news["of"], 20_000);
        curve.limit(100);
        let news = curve.news(true).unwrap();
        assert!(news["step"].as_array().unwrap().len() <= 101);
        assert_eq!(news["value"].as_array().unwrap().last(), Some(&json!(19_999.0)));
    }

    #[test]
    fn a_page_that_follows_gets_what_is_new_and_everything_where_points_went() {
        let mut curve = PageCurve::default();
        (0..3).for_each(|place| curve.add(point(place)));
        assert_eq!(curve.news(false).unwrap()["from"], 0);
        assert_eq!(curve.news(false), None);
        curve.add(PageValue { step: None, ..point(3) });
        assert_eq!(curve.news(false).unwrap(), json!({"step": null, "at": [1003], "value": [3.0], "of": 4, "from": 3}));
        (4..2 * MOST).for_each(|place| curve.add(point(place)));
        let news = curve.news(false).unwrap();
        assert_eq!((&news["from"], news["at"].as_array().unwrap().len()), (&json!(0), MOST));
    }
}
