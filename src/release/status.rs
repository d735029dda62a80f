//! `PhaseStatus`: how far a phase is, which status may follow which, and the status of a whole release.
//! Refuses every transition that the table does not name.

use crate::plan::operation::Phase;

/// How far one phase of a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhaseStatus {
    /// It has not begun.
    Pending,
    /// It has begun.
    Running,
    /// All its work is done.
    Completed,
    /// It ended without doing its work.
    Failed,
    /// It had no work, or a phase before it did not succeed.
    Skipped,
}

impl PhaseStatus {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Skipped,
    ];

    /// Returns the word for it in the log and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Returns the status that `text` is the word for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns whether a phase may go from this status to `next`.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Running | Self::Skipped),
            Self::Running => matches!(next, Self::Completed | Self::Failed | Self::Skipped),
            Self::Completed | Self::Failed | Self::Skipped => false,
        }
    }

    /// Returns whether the phases after this one may start.
    pub fn lets_pass(self) -> bool {
        match self {
            Self::Completed | Self::Skipped => true,
            Self::Pending | Self::Running | Self::Failed => false,
        }
    }
}

impl std::fmt::Display for PhaseStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The status of each of the six phases, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases([PhaseStatus; 6]);

impl Phases {
    /// Returns six pending phases.
    pub fn pending() -> Self {
        Self([PhaseStatus::Pending; 6])
    }

    /// Returns the status of `phase`.
    pub fn of(&self, phase: Phase) -> PhaseStatus {
        self.0[index(phase)]
    }

    /// Gives `phase` the status `status`, whatever it had.
    pub(crate) fn set(&mut self, phase: Phase, status: PhaseStatus) {
        self.0[index(phase)] = status;
    }

    /// Returns each phase and its status, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, PhaseStatus)> + '_ {
        Phase::ALL.iter().map(|phase| (*phase, self.of(*phase)))
    }

    /// Returns the phase that is running.
    pub fn running(&self) -> Option<Phase> {
        self.iter()
            .find(|(_, status)| *status == PhaseStatus::Running)
            .map(|(phase, _)| phase)
    }

    /// Returns the status of the whole release.
    pub fn overall(&self) -> PhaseStatus {
        let any = |wanted| self.iter().any(|(_, status)| status == wanted);
        if any(PhaseStatus::Failed) {
            PhaseStatus::Failed
        } else if self.incomplete().is_empty() {
            PhaseStatus::Completed
        } else if any(PhaseStatus::Running) {
            PhaseStatus::Running
        } else {
            PhaseStatus::Pending
        }
    }

    /// Returns the phases that keep the release from being fully deployed: neither completed nor skipped for want
    /// of work, and `finalize` unless it is completed.
    pub fn incomplete(&self) -> Vec<Phase> {
        let mut stopped = false;
        let mut incomplete = Vec::new();
        for (phase, status) in self.iter() {
            stopped |= !status.lets_pass();
            let holds = match status {
                PhaseStatus::Completed => true,
                // Skipped behind a phase that did not succeed is not "no work".
                PhaseStatus::Skipped => !stopped && phase != Phase::Finalize,
                PhaseStatus::Pending | PhaseStatus::Running | PhaseStatus::Failed => false,
            };
            if !holds {
                incomplete.push(phase);
            }
        }
        incomplete
    }
}

fn index(phase: Phase) -> usize {
    match phase {
        Phase::Build => 0,
        Phase::Push => 1,
        Phase::MigratePre => 2,
        Phase::Rollout => 3,
        Phase::MigratePost => 4,
        Phase::Finalize => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::PhaseStatus::{Completed, Failed, Pending, Running, Skipped};
    use super::*;

    /// spec: release/phases R2
    #[test]
    fn only_the_table_of_transitions_is_allowed() {
        let allowed = [
            (Pending, Running),
            (Pending, Skipped),
            (Running, Completed),
            (Running, Failed),
            (Running, Skipped),
        ];
        for from in PhaseStatus::ALL {
            for to in PhaseStatus::ALL {
                assert_eq!(
                    from.may_become(to),
                    allowed.contains(&(from, to)),
                    "{from} -> {to}"
                );
            }
        }
    }

    /// spec: release/phases R9
    #[test]
    fn the_status_of_a_release_follows_from_its_phases() {
        for (phases, overall) in [
            ([Pending; 6], Pending),
            ([Completed; 6], Completed),
            (
                [Completed, Skipped, Skipped, Completed, Skipped, Completed],
                Completed,
            ),
            (
                [Completed, Skipped, Skipped, Completed, Skipped, Skipped],
                Pending,
            ),
            (
                [Completed, Running, Pending, Pending, Pending, Pending],
                Running,
            ),
            (
                [Completed, Failed, Skipped, Skipped, Skipped, Skipped],
                Failed,
            ),
            (
                [Failed, Running, Pending, Pending, Pending, Completed],
                Failed,
            ),
        ] {
            assert_eq!(Phases(phases).overall(), overall, "{phases:?}");
        }
    }

    /// spec: release/rollback R6
    #[test]
    fn a_phase_skipped_behind_a_failure_is_incomplete() {
        let phases = Phases([Completed, Skipped, Skipped, Failed, Skipped, Skipped]);
        assert_eq!(
            phases.incomplete(),
            [Phase::Rollout, Phase::MigratePost, Phase::Finalize]
        );
        assert!(
            Phases([Completed, Skipped, Skipped, Completed, Skipped, Completed])
                .incomplete()
                .is_empty()
        );
    }
}
