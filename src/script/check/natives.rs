//! The functions that Rhai and combu have, as they are registered: their names and the types of their arguments.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};

use rhai::{Dynamic, Engine, ImmutableString};

/// What is not registered, because Rhai itself knows it; it says by itself how such a word is called.
const KEYWORDS: [&str; 10] =
    ["print", "debug", "type_of", "eval", "Fn", "call", "curry", "is_shared", "is_def_var", "is_def_fn"];

/// The registered functions.
pub(super) struct Natives {
    /// By name, the types of the arguments of each form.
    forms: HashMap<String, Vec<Vec<TypeId>>>,
}

impl Natives {
    pub(super) fn of(engine: &Engine) -> Self {
        let of = |info: rhai::FuncInfo<'_>| {
            let text = [TypeId::of::<String>(), TypeId::of::<&str>()];
            let same = |id: &TypeId| if text.contains(id) { TypeId::of::<ImmutableString>() } else { *id };
            let mut types: Vec<TypeId> = info.metadata.param_types.iter().map(same).collect();
            // What is not said is anything.
            types.resize(info.metadata.num_params.max(types.len()), TypeId::of::<Dynamic>());
            Some((info.metadata.name.to_string(), types))
        };
        let mut forms: HashMap<String, Vec<Vec<TypeId>>> = HashMap::new();
        for (name, types) in engine.collect_fn_metadata(None, of, true) {
            forms.entry(name).or_default().push(types);
        }
        Self { forms }
    }

    /// Whether Rhai itself takes care of calls of that name.
    pub(super) fn is_keyword(name: &str) -> bool {
        KEYWORDS.contains(&name)
    }

    /// The forms of a function.
    pub(super) fn forms(&self, name: &str) -> &[Vec<TypeId>] {
        self.forms.get(name).map_or(&[], Vec::as_slice)
    }

    /// The numbers of arguments that a function takes.
    pub(super) fn counts(&self, name: &str) -> BTreeSet<usize> {
        self.forms(name).iter().map(Vec::len).collect()
    }

    /// Whether a form of a function takes these arguments; a type that is not known fits everywhere.
    pub(super) fn fits(&self, name: &str, given: &[Option<TypeId>]) -> bool {
        let takes = |form: &Vec<TypeId>| {
            let all = form.iter().zip(given);
            form.len() == given.len()
                && all.into_iter().all(|(takes, given)| given.is_none_or(|given| does_take(*takes, given)))
        };
        self.forms(name).iter().any(takes)
    }

    /// Every name that can be called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let is_word = |name: &&str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
        self.forms.keys().map(String::as_str).filter(is_word)
    }

    /// The properties that a type has; `set`: those that can be set.
    pub(super) fn properties(&self, of: TypeId, set: bool) -> BTreeSet<&str> {
        let prefix = if set { "set$" } else { "get$" };
        let named = self.forms.iter().filter_map(|(name, forms)| Some((name.strip_prefix(prefix)?, forms)));
        let own = named.filter(|(_, forms)| forms.iter().any(|form| form.first() == Some(&of)));
        own.map(|(name, _)| name).collect()
    }
}

/// Whether an argument of one type takes a value of another.
fn does_take(takes: TypeId, given: TypeId) -> bool {
    takes == given || takes == TypeId::of::<Dynamic>()
}
