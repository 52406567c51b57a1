//! Sizes in bytes as people write them.

/// Reads `512m`, `2g`, `64MiB` or bytes; every suffix is a power of 1024, as in `docker run --memory`.
///
/// The rule is go-units' `RAMInBytes`: a number, perhaps with a fraction, and `b`, `k`, `m`, `g`, `t` or `p`, perhaps
/// with `i` and `b` behind it, in either case.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write `512m`, `2g`, `64MiB` or bytes");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, suffix) = lower.split_at(digits);
    let power = match suffix.trim() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 1,
        "m" | "mb" | "mi" | "mib" => 2,
        "g" | "gb" | "gi" | "gib" => 3,
        "t" | "tb" | "ti" | "tib" => 4,
        "p" | "pb" | "pi" | "pib" => 5,
        _ => return Err(wrong()),
    };
    let factor = 1024u64.pow(power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    if bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1024),
            ("1b", 1),
            ("1k", 1 << 10),
            ("512m", 512 << 20),
            ("512 MB", 512 << 20),
            ("64MiB", 64 << 20),
            ("64Mi", 64 << 20),
            ("2g", 2 << 30),
            ("1.5G", 3 << 29),
            ("1T", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "m", "-1m", "1x", "1.2.3m", "99999999p", "1e3", "５m"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        insta::assert_snapshot!(size("lots").unwrap_err(), @"`lots` is not a size: write `512m`, `2g`, `64MiB` or bytes");
    }
}
