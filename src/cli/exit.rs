//! The exit codes of every command (`spec/cli/exit-codes.md`).

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done, or nothing to do.
    Done,
    /// A flag, the environment, the configuration or a name is wrong.
    User,
    /// There is no plan.
    Plan,
    /// An operation of the build phase failed.
    Build,
    /// A fault of Stagecraft itself, or of the machine where nothing closer fits.
    Internal,
    /// The rollout failed and was set back.
    Reverted,
    /// The rollout failed and was not fully set back.
    NotReverted,
    /// Another process deploys to the environment.
    Locked,
    /// A source changed under the run, or the target is not what was recorded.
    Stale,
    /// The store or the state is damaged, or bytes are missing.
    Damaged,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// Returns the number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::User => 1,
            Self::Plan => 2,
            Self::Build => 3,
            Self::Internal => 5,
            Self::Reverted => 7,
            Self::NotReverted => 8,
            Self::Locked => 9,
            Self::Stale => 11,
            Self::Damaged => 13,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: cli/exit-codes R12
    #[test]
    fn the_codes_are_those_of_the_table_without_the_reserved_ones() {
        let all = [
            Exit::Done,
            Exit::User,
            Exit::Plan,
            Exit::Build,
            Exit::Internal,
            Exit::Reverted,
            Exit::NotReverted,
            Exit::Locked,
            Exit::Stale,
            Exit::Damaged,
            Exit::Interrupted,
            Exit::Terminated,
        ];
        let codes = all.map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 5, 7, 8, 9, 11, 13, 130, 143]);
    }
}
