//! Access: who may open what combu makes in its state folder. What is new there is open to whom the folder around it is open.
//!
//! A new state folder is its owner's alone (mode 0700), and so is everything in it, also where a copy or a wider folder
//! brings others to it later. Where people share one, it has rights of their group, and what combu makes there has them too.
//! The caller's mask still takes rights away.

/// The mode of a new file in a folder of that mode.
pub fn of_file(folder: u32) -> u32 {
    0o600 | (folder & 0o066)
}

/// The mode of a new folder in a folder of that mode.
pub fn of_folder(folder: u32) -> u32 {
    0o700 | (folder & 0o077)
}

#[cfg(test)]
mod tests {
    use super::{of_file, of_folder};

    #[test]
    fn what_is_new_is_open_to_whom_its_folder_is() {
        assert_eq!((of_file(0o700), of_folder(0o700)), (0o600, 0o700));
        assert_eq!((of_file(0o42770), of_folder(0o42770)), (0o660, 0o770));
        assert_eq!((of_file(0o750), of_folder(0o755)), (0o640, 0o755));
    }
}
