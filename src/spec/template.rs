//! Trials from one base and points of a space: `{lr}` in the base's texts stands for the point's value.

use serde_json::{Map, Value};

use crate::model::environment::text;
use crate::model::suggest::nearest;
use crate::space::{self, BadSpace, Point};
use crate::spec::words;

/// The fields in whose texts a param may stand.
const FILLED: [&str; 7] = ["name", "cmd", "entrypoint", "env", "workdir", "volumes", "outputs"];

/// What trials have in common: the fields of a trial.
pub struct Template {
    base: Map<String, Value>,
    /// Those fields in which something stands for a param.
    open: Vec<&'static str>,
}

impl Template {
    /// A base as it is written.
    pub fn new(mut base: Map<String, Value>) -> Self {
        // Split before it is filled, a value stays one word whatever is in it.
        for field in ["cmd", "entrypoint"] {
            if let Some(Value::String(line)) = base.get(field)
                && line.contains('{')
                && let Some(words) = words::split(line)
            {
                base.insert(field.to_owned(), words.into());
            }
        }
        let open = FILLED.into_iter().filter(|field| base.get(*field).is_some_and(has_brace)).collect();
        Self { base, open }
    }

    /// Whether all trials have the same fields, but for their names and params.
    pub fn is_plain(&self) -> bool {
        self.open.iter().all(|field| *field == "name")
    }

    /// The fields of a trial for each point, each with a name of its own and the point among its params.
    ///
    /// # Errors
    /// When the base has no name, or a text asks for a param that a point has not.
    pub fn trials(&self, points: &[Point]) -> Result<Vec<Map<String, Value>>, BadSpace> {
        let params: Vec<Point> = points.iter().map(|point| self.params(point)).collect();
        let names = self.names(points, &params)?;
        names.into_iter().zip(params).map(|(name, params)| self.trial(name, params)).collect()
    }

    /// The names and params of the trials.
    ///
    /// # Errors
    /// When the base has no name, or the name asks for a param that a point has not.
    pub fn named(&self, points: &[Point]) -> Result<Vec<(String, Point)>, BadSpace> {
        let params: Vec<Point> = points.iter().map(|point| self.params(point)).collect();
        Ok(self.names(points, &params)?.into_iter().zip(params).collect())
    }

    /// The fields of one trial of a series that goes on: without a param in its name, it is called by its number.
    ///
    /// # Errors
    /// As for [`Template::trials`].
    pub fn numbered(&self, number: usize, point: &Point) -> Result<Map<String, Value>, BadSpace> {
        let params = self.params(point);
        let name = match self.base.get("name").and_then(Value::as_str) {
            Some(prefix) if !has_brace_text(prefix) => space::numbered(prefix, number),
            _ => self.names(std::slice::from_ref(point), std::slice::from_ref(&params))?.remove(0),
        };
        self.trial(name, params)
    }

    /// The fields of one trial.
    fn trial(&self, name: String, params: Point) -> Result<Map<String, Value>, BadSpace> {
        let mut fields = self.base.clone();
        fields.insert("name".to_owned(), name.into());
        for field in self.open.iter().filter(|field| **field != "name") {
            if let Some(value) = fields.get_mut(*field) {
                fill(value, &params, &mut (*field).to_owned())?;
            }
        }
        fields.insert("params".to_owned(), Value::Object(params));
        Ok(fields)
    }

    /// The base's params with those of the point, which win.
    fn params(&self, point: &Point) -> Point {
        let mut params = self.base.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        params.extend(point.iter().map(|(name, value)| (name.clone(), value.clone())));
        params
    }

    fn names(&self, points: &[Point], params: &[Point]) -> Result<Vec<String>, BadSpace> {
        let Some(prefix) = self.base.get("name").and_then(Value::as_str) else {
            return Err(BadSpace::new("the base has no name", "the trials are named after it: `name: \"train\"`"));
        };
        if !has_brace_text(prefix) {
            return Ok(space::names(prefix, points));
        }
        let names =
            params.iter().map(|params| filled(prefix, params, "name", space::legal)).collect::<Result<Vec<_>, _>>()?;
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(BadSpace::new(
                format!("the name `{prefix}` makes two trials `{}`", pair[0]),
                "name every param that varies in it, or none: they are named by their values then",
            )),
            None => Ok(names),
        }
    }
}

fn has_brace(value: &Value) -> bool {
    match value {
        Value::String(text) => has_brace_text(text),
        Value::Array(values) => values.iter().any(has_brace),
        Value::Object(fields) => fields.values().any(has_brace),
        _ => false,
    }
}

fn has_brace_text(text: &str) -> bool {
    text.contains('{')
}

/// Fills all texts in a value; `at` is where it stands, for the message.
fn fill(value: &mut Value, params: &Point, at: &mut String) -> Result<(), BadSpace> {
    match value {
        Value::String(said) if has_brace_text(said) => *said = filled(said, params, at, text)?,
        Value::Array(values) => {
            for (place, value) in values.iter_mut().enumerate() {
                fill(value, params, &mut format!("{at}[{place}]"))?;
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                fill(value, params, &mut format!("{at}.{key}"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A text in which `{word}` is the value of a param and `{{word}}` is `{word}`. Everything else stays: `${word}` is the shell's,
/// `{ .. }` is awk's.
fn filled(text: &str, params: &Point, at: &str, write: impl Fn(&Value) -> String) -> Result<String, BadSpace> {
    let mut made = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(brace) = rest.find('{') {
        let is_shell = rest[..brace].ends_with('$');
        made.push_str(&rest[..brace]);
        rest = &rest[brace..];
        let doubled = rest.strip_prefix("{{").and_then(word).filter(|(_, after)| after.starts_with('}'));
        if let Some((word, after)) = doubled {
            made.push_str(&format!("{{{word}}}"));
            rest = &after[1..];
        } else if let (false, Some((word, after))) = (is_shell, word(&rest[1..])) {
            made.push_str(&write(params.get(word).ok_or_else(|| unknown(word, params, at))?));
            rest = after;
        } else {
            made.push('{');
            rest = &rest[1..];
        }
    }
    made.push_str(rest);
    Ok(made)
}

/// The word at the beginning of a text, which a brace ends, and what comes after the brace.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')?;
    let (word, after) = (&text[..end], text[end..].strip_prefix('}')?);
    word.starts_with(|c: char| c.is_alphabetic() || c == '_').then_some((word, after))
}

fn unknown(word: &str, params: &Point, at: &str) -> BadSpace {
    let near = nearest(word, params.keys().map(String::as_str));
    let keys: Vec<&str> = params.keys().map(String::as_str).collect();
    let there = match near {
        Some(near) => format!("did you mean `{{{near}}}`?"),
        None if keys.is_empty() => "there are no params".to_owned(),
        None => format!("there are {}", keys.join(", ")),
    };
    BadSpace::new(
        format!("`{at}` asks for `{{{word}}}`, which is no param of the trial"),
        format!("{there}; for braces as they stand, write `{{{{{word}}}}}`"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Template;
    use crate::space::Point;

    fn points(list: Value) -> Vec<Point> {
        list.as_array().unwrap().iter().map(|point| point.as_object().unwrap().clone()).collect()
    }

    fn trials(base: Value, list: Value) -> Result<Value, String> {
        let Value::Object(base) = base else { unreachable!() };
        let made = Template::new(base).trials(&points(list)).map_err(|error| error.to_string())?;
        Ok(Value::from_iter(made))
    }

    #[test]
    fn a_param_stands_in_the_texts_of_the_base() {
        let base = json!({
            "name": "train", "image": "lab:{lr}", "cmd": "python train.py --lr {lr} --to '{dir}/x' ${HOME} {{lr}} {1..3}",
            "env": {"LR": "{lr}"}, "volumes": ["./{dir}:/out"], "params": {"dir": "a b", "lr": 1},
        });
        let made = trials(base, json!([{"lr": 0.1}, {"lr": 0.2}])).unwrap();
        assert_eq!(
            made[0],
            json!({
                "name": "train-0.1", "image": "lab:{lr}",
                "cmd": ["python", "train.py", "--lr", "0.1", "--to", "a b/x", "${HOME}", "{lr}", "{1..3}"],
                "env": {"LR": "0.1"}, "volumes": ["./a b:/out"], "params": {"dir": "a b", "lr": 0.1},
            })
        );
        assert_eq!(made[1]["name"], "train-0.2");
        let made =
            trials(json!({"name": "awk", "cmd": ["awk", "{ print }", "{\"a\": {\"b\": 1}}"]}), json!([{}])).unwrap();
        assert_eq!(made[0]["cmd"], json!(["awk", "{ print }", "{\"a\": {\"b\": 1}}"]));
    }

    #[test]
    fn a_name_may_say_where_its_values_stand() {
        let made = trials(json!({"name": "{mode}.run"}), json!([{"mode": "a b"}, {"mode": "c"}])).unwrap();
        assert_eq!([&made[0]["name"], &made[1]["name"]], ["a_b.run", "c.run"]);
        let error = trials(json!({"name": "t-{a}"}), json!([{"a": 1, "b": 1}, {"a": 1, "b": 2}])).unwrap_err();
        assert!(error.starts_with("the name `t-{a}` makes two trials `t-1`; name every param"), "{error}");
        assert!(trials(json!({"cmd": "x"}), json!([{}])).unwrap_err().starts_with("the base has no name"));
    }

    #[test]
    fn a_word_that_is_no_param_is_told() {
        let error = |cmd: Value| trials(json!({"name": "t", "cmd": cmd}), json!([{"epochs": 1}])).unwrap_err();
        assert_eq!(
            error(json!("train {epoch}")),
            "`cmd[1]` asks for `{epoch}`, which is no param of the trial; did you mean `{epochs}`?; for braces as they stand, write `{{epoch}}`"
        );
        assert!(
            error(json!(["awk", "{print}"])).contains("there are epochs; for braces as they stand, write `{{print}}`")
        );
    }
}
