//! Assertions: what a script, or a test of one, takes to be so.

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, NativeCallContext};

use crate::script::fault::{Answer, fault, fault_with};

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("assert", |holds: bool| if holds { Ok(()) } else { Err(fault("the assertion does not hold")) })
        .register_fn("assert", |holds: bool, why: &str| match holds {
            true => Ok(()),
            false => Err(fault_with(why, "the assertion of this line does not hold")),
        })
        .register_fn("assert_eq", |context: NativeCallContext, left: Dynamic, right: Dynamic| {
            equal(&context, left, right)
        });
}

fn equal(context: &NativeCallContext, left: Dynamic, right: Dynamic) -> Answer<()> {
    // Rhai takes the arguments of a call away.
    let (mut one, mut other) = (left.clone(), right.clone());
    let is_equal = match context.call_native_fn_raw("==", true, &mut [&mut one, &mut other]) {
        Ok(answer) => answer.as_bool().unwrap_or(false),
        // Values of kinds that nothing compares are not equal.
        Err(error) if matches!(*error, EvalAltResult::ErrorFunctionNotFound(..)) => false,
        Err(error) => return Err(error),
    };
    if is_equal {
        return Ok(());
    }
    let (left, right) = (shown(context, left), shown(context, right));
    Err(fault(format!("the two values differ\n  the first:  {left}\n  the second: {right}")))
}

/// A value as `debug` shows it.
fn shown(context: &NativeCallContext, mut value: Dynamic) -> String {
    let text = context.call_native_fn_raw("to_debug", true, &mut [&mut value]);
    let text = text.ok().and_then(Dynamic::try_cast::<ImmutableString>);
    text.map_or_else(|| value.to_string(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn what_is_so_passes_and_what_differs_is_shown() {
        let lab = Lab::new();
        let so = "assert(1 < 2); assert(true, \"never shown\"); assert_eq(1, 1); assert_eq(1, 1.0); assert_eq([1, #{ a: () }], [1, #{ a: () }]);
            let t = trial(#{ name: \"aa\" }); assert_eq(t, t); print(\"so\");";
        assert_eq!(lab.output(so), "so");
        assert_snapshot!(lab.output("assert(1 > 2);"), @"
        script.rhai:1:1: the assertion does not hold
          | assert(1 > 2);
        ");
        assert_snapshot!(lab.output("let loss = 3;\nassert(loss < 2, `the loss is ${loss}`);"), @"
        script.rhai:2:1: the loss is 3
          | assert(loss < 2, `the loss is ${loss}`);
          = the assertion of this line does not hold
        ");
        assert_snapshot!(lab.output("assert_eq([1, \"a\"], [1, \"b\"]);"), @r#"
        script.rhai:1:1: the two values differ
          the first:  [1, "a"]
          the second: [1, "b"]
          | assert_eq([1, "a"], [1, "b"]);
        "#);
        assert_snapshot!(lab.output("assert_eq(trial(#{ name: \"aa\" }), \"aa\");"), @r#"
        script.rhai:1:1: the two values differ
          the first:  trial aa
          the second: "aa"
          | assert_eq(trial(#{ name: "aa" }), "aa");
        "#);
    }
}
