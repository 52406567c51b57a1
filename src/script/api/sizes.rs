//! Rhai's own functions that make something of any size in one step, which nothing could stop: with a limit.

use rhai::{Array, Blob, Dynamic, Engine, FuncRegistration, ImmutableString};

use crate::script::fault::{Answer, bounded};

pub(crate) fn register(engine: &mut Engine) {
    // What nobody may change is not filled up either.
    let changing = || FuncRegistration::new("pad").with_purity(false);
    changing().register_into_engine(engine, |text: &mut ImmutableString, length: i64, with: char| {
        pad_text(text, length, &with.to_string())
    });
    changing().register_into_engine(engine, |text: &mut ImmutableString, length: i64, with: &str| {
        pad_text(text, length, with)
    });
    changing().register_into_engine(engine, |list: &mut Array, length: i64, with: Dynamic| {
        list.resize(bounded(length)?.max(list.len()), with);
        Ok::<_, Box<rhai::EvalAltResult>>(())
    });
    changing().register_into_engine(engine, |bytes: &mut Blob, length: i64, with: i64| {
        bytes.resize(bounded(length)?.max(bytes.len()), (with & 0xff) as u8);
        Ok::<_, Box<rhai::EvalAltResult>>(())
    });
    engine
        .register_fn("blob", |length: i64| bounded(length).map(|length| vec![0_u8; length]))
        .register_fn("blob", |length: i64, with: i64| bounded(length).map(|length| vec![(with & 0xff) as u8; length]));
}

fn pad_text(text: &mut ImmutableString, length: i64, with: &str) -> Answer<()> {
    let missing = bounded(length)?.saturating_sub(text.chars().count());
    let filling: String = with.chars().cycle().take(missing).collect();
    text.make_mut().push_str(&filling);
    Ok(())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn what_is_made_in_one_step_has_a_limit() {
        let lab = Lab::new();
        let script = "let s = \"学\"; s.pad(3, 'x'); print(s); s.pad(6, \"ab\"); print(s); s.pad(1, ' '); print(s);
            let a = [1]; a.pad(3, 0); print(a); a.pad(-1, 0); print(a); let b = blob(2, 7); b.pad(3, 1); print(b.len());";
        assert_snapshot!(lab.output(script), @"
        学xx
        学xxaba
        学xxaba
        [1, 0, 0]
        [1, 0, 0]
        3
        ");
        for call in ["\"\".pad(9_000_000_000_000, ' ')", "[].pad(60_000_000, 0)", "blob(9_000_000_000)"] {
            let error = lab.execute(&format!("{call};")).unwrap_err();
            assert!(error.message.contains("is more than the 50000000 that are made at once"), "{error}");
        }
        assert!(lab.execute("to_json(0..9_000_000_000)").is_err());
    }
}
