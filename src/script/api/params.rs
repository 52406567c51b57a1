//! Params of trials in scripts.

use rhai::{Array, Dynamic, Engine, Map};

use crate::script::fault::{Answer, fault};
use crate::script::values::json::to_json;
use crate::script::values::params::Params;

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Params>("Params")
        .register_indexer_get(|params: &mut Params, name: &str| params.read(name))
        .register_indexer_set(|params: &mut Params, name: &str, value: Dynamic| {
            params.values.insert(name.into(), value);
        })
        .register_fn("keys", |params: &mut Params| -> Array {
            params.values.keys().map(|key| key.as_str().into()).collect()
        })
        .register_fn("values", |params: &mut Params| -> Array { params.values.values().cloned().collect() })
        .register_fn("len", |params: &mut Params| params.values.len() as i64)
        .register_fn("contains", |params: &mut Params, name: &str| params.values.contains_key(name))
        .register_fn("remove", |params: &mut Params, name: &str| params.values.remove(name).unwrap_or_default())
        .register_fn("mixin", |params: &mut Params, other: Map| params.values.extend(other))
        .register_fn("to_map", |params: &mut Params| params.values.clone())
        .register_fn("get", |params: Params, name: &str, default: Dynamic| {
            params.values.get(name).cloned().unwrap_or(default)
        })
        .register_fn("==", |left: Params, right: Params| same(&left.values, &right.values))
        .register_fn("==", |left: Params, right: Map| same(&left.values, &right))
        .register_fn("!=", |left: Params, right: Params| same(&left.values, &right.values).map(|same| !same))
        .register_fn("!=", |left: Params, right: Map| same(&left.values, &right).map(|same| !same))
        .register_fn("to_string", |params: &mut Params| params.text())
        .register_fn("to_debug", |params: &mut Params| params.text());
}

fn same(left: &Map, right: &Map) -> Answer<bool> {
    let json = |map: &Map| to_json(&Dynamic::from_map(map.clone())).map_err(|error| fault(error.to_string()));
    Ok(json(left)? == json(right)?)
}
