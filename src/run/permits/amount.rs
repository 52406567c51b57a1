//! An amount: how much of something there is, and how much of it is taken. Knows nobody who takes it.

/// How much of something there is, and how much of it is taken.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Amount {
    pub(super) all: u64,
    pub(super) taken: u64,
}

impl Amount {
    pub(super) fn of(all: u64) -> Self {
        Self { all, taken: 0 }
    }

    pub(super) fn fits(self, amount: u64, kept: u64) -> bool {
        // What asks for nothing takes nothing, even where too much is taken already.
        amount == 0 || self.taken.saturating_add(amount).saturating_add(kept) <= self.all
    }

    pub(super) fn free(self) -> u64 {
        self.all.saturating_sub(self.taken)
    }
}
