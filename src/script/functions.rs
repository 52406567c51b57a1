//! The functions that a script and its modules define, for what has to know of them before they are called.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, FnPtr};

use crate::model::suggest::nearest;

/// What the names of closures begin with; nobody wrote those.
pub(super) const ANONYMOUS: &str = "anon$";

/// The functions of a script and of all modules that it has imported.
#[derive(Default)]
pub(super) struct Functions {
    /// By name, the numbers of arguments that they take, what a closure has caught counted.
    arities: RefCell<BTreeMap<String, BTreeSet<usize>>>,
}

impl Functions {
    /// Takes note of the functions of a script or a module.
    pub(super) fn note(&self, ast: &AST) {
        let mut arities = self.arities.borrow_mut();
        for function in ast.iter_fn_def() {
            arities.entry(function.name.to_string()).or_default().insert(function.params.len());
        }
    }

    /// Takes note of a function of a module that is not written in Rhai.
    pub(super) fn add(&self, name: &str, count: usize) {
        self.arities.borrow_mut().entry(name.to_owned()).or_default().insert(count);
    }

    /// The numbers of arguments that a closure can be called with; absent: it is not one of the script's own functions.
    pub(super) fn takes(&self, closure: &FnPtr) -> Option<BTreeSet<usize>> {
        let caught = closure.iter_curry().count();
        let arities = self.arities.borrow();
        let known = arities.get(closure.fn_name())?;
        Some(known.iter().filter_map(|count| count.checked_sub(caught)).collect())
    }

    /// The number of arguments that the closure of that name takes, what it has caught counted.
    pub(super) fn of_closure(&self, name: &str) -> Option<usize> {
        self.arities.borrow().get(name)?.first().copied()
    }

    /// The function with that name, or the nearest, and the numbers of arguments that it takes.
    pub(super) fn nearest(&self, name: &str) -> Option<(String, BTreeSet<usize>)> {
        let arities = self.arities.borrow();
        let mut named = arities.keys().map(String::as_str).filter(|name| !name.starts_with(ANONYMOUS));
        let near = if arities.contains_key(name) { name } else { nearest(name, &mut named)? };
        Some((near.to_owned(), arities.get(near)?.clone()))
    }
}
