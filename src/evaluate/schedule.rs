//! Which operation comes next: a pure state machine over a plan.
//! Owns what is ready, what a failure skips, and critical path first; starts nothing.

use std::collections::{BTreeSet, BinaryHeap};

use crate::plan::{Index, Plan};

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is not part of this evaluation; what it depends on or made is known already.
    Outside,
    /// It waits for this many dependencies.
    Waiting(usize),
    /// All it depends on succeeded.
    Ready,
    /// It was handed out.
    Running,
    /// It has an outcome.
    Done,
}

/// The states of all operations of a plan, and the queue of those that are ready.
#[derive(Debug)]
pub(super) struct Schedule {
    states: Vec<State>,
    dependents: Vec<Vec<Index>>,
    /// Longest remaining path first, then plan order.
    ready: BinaryHeap<(usize, std::cmp::Reverse<Index>)>,
    height: Vec<usize>,
    unfinished: usize,
}

impl Schedule {
    /// Returns the schedule of the operations in `scope`; the others count as done.
    pub(super) fn new(plan: &Plan, scope: &BTreeSet<Index>) -> Self {
        let mut dependents = vec![Vec::new(); plan.len()];
        let mut states = vec![State::Outside; plan.len()];
        for &index in scope {
            let needs = plan.dependencies(index);
            let inside: Vec<Index> = needs
                .into_iter()
                .map(|(need, _)| need)
                .filter(|need| scope.contains(need))
                .collect();
            for need in &inside {
                dependents[*need].push(index);
            }
            states[index] = State::Waiting(inside.len());
        }
        let mut height = vec![1; plan.len()];
        for index in (0..plan.len()).rev() {
            height[index] = 1 + dependents[index]
                .iter()
                .map(|next| height[*next])
                .max()
                .unwrap_or(0);
        }
        let mut schedule = Self {
            states,
            dependents,
            ready: BinaryHeap::new(),
            height,
            unfinished: scope.len(),
        };
        for &index in scope {
            schedule.settle(index);
        }
        schedule
    }

    /// Moves a waiting operation with nothing left to wait for to the queue.
    fn settle(&mut self, index: Index) {
        if self.states[index] == State::Waiting(0) {
            self.states[index] = State::Ready;
            self.ready
                .push((self.height[index], std::cmp::Reverse(index)));
        }
    }

    /// Returns the next operation to start, now running.
    pub(super) fn next(&mut self) -> Option<Index> {
        let (_, std::cmp::Reverse(index)) = self.ready.pop()?;
        self.states[index] = State::Running;
        Some(index)
    }

    /// Takes note that a running operation succeeded: what waited for it may become ready.
    pub(super) fn succeed(&mut self, index: Index) {
        self.finish(index);
        for dependent in std::mem::take(&mut self.dependents[index]) {
            if let State::Waiting(count) = &mut self.states[dependent] {
                *count -= 1;
                self.settle(dependent);
            }
        }
    }

    /// Takes note that a running operation did not succeed. Returns all that depends on it, now done, in plan order.
    pub(super) fn fail(&mut self, index: Index) -> Vec<Index> {
        self.finish(index);
        let mut skipped = BTreeSet::new();
        let mut open = vec![index];
        while let Some(failed) = open.pop() {
            for dependent in std::mem::take(&mut self.dependents[failed]) {
                if matches!(self.states[dependent], State::Waiting(_)) {
                    self.finish(dependent);
                    skipped.insert(dependent);
                    open.push(dependent);
                }
            }
        }
        skipped.into_iter().collect()
    }

    /// Gives up on everything that was not handed out. Returns it, now done, in plan order.
    pub(super) fn abandon(&mut self) -> Vec<Index> {
        self.ready.clear();
        let left: Vec<Index> = (0..self.states.len())
            .filter(|index| matches!(self.states[*index], State::Waiting(_) | State::Ready))
            .collect();
        for index in &left {
            self.finish(*index);
        }
        left
    }

    fn finish(&mut self, index: Index) {
        self.states[index] = State::Done;
        self.unfinished -= 1;
    }

    /// Returns whether every operation in scope has an outcome.
    pub(super) fn is_done(&self) -> bool {
        self.unfinished == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Draft;
    use crate::plan::operation::{OperationId, Phase, Work};

    /// A plan of operations `a`, `b`, … in that order, each with the positions it waits for.
    fn plan(needs: &[&[usize]]) -> Plan {
        let id = |at: usize| {
            let letter = char::from(b'a' + u8::try_from(at).unwrap());
            OperationId::operation(&letter.to_string().parse().unwrap())
        };
        let draft = |(at, needs): (usize, &&[usize])| Draft {
            id: id(at),
            phase: Phase::Build,
            services: Vec::new(),
            hosts: Vec::new(),
            description: String::new(),
            work: Work::Recorded,
            takes: Vec::new(),
            after: needs.iter().map(|need| id(*need)).collect(),
        };
        let drafts = needs.iter().enumerate().map(draft).collect();
        let plan = Plan::assemble("p".parse().unwrap(), None, String::new(), drafts).unwrap();
        assert!(plan.operations().map(|operation| &operation.id).is_sorted());
        plan
    }

    fn whole(plan: &Plan) -> Schedule {
        Schedule::new(plan, &(0..plan.len()).collect())
    }

    /// spec: evaluate/evaluation R2
    #[test]
    fn ready_operations_come_longest_path_first_then_in_plan_order() {
        let plan = plan(&[&[], &[], &[], &[1], &[3]]);
        let mut schedule = whole(&plan);
        assert_eq!(
            [
                schedule.next(),
                schedule.next(),
                schedule.next(),
                schedule.next()
            ],
            [Some(1), Some(0), Some(2), None]
        );
        schedule.succeed(1);
        assert_eq!([schedule.next(), schedule.next()], [Some(3), None]);
        for done in [0, 2, 3] {
            schedule.succeed(done);
        }
        assert!(!schedule.is_done());
        assert_eq!(schedule.next(), Some(4));
        schedule.succeed(4);
        assert!(schedule.is_done());
    }

    /// spec: evaluate/evaluation R6
    #[test]
    fn a_failure_skips_its_descendants_once_and_nothing_else() {
        let plan = plan(&[&[], &[], &[0], &[0, 1], &[2, 3], &[1]]);
        let mut schedule = whole(&plan);
        assert_eq!([schedule.next(), schedule.next()], [Some(0), Some(1)]);
        assert_eq!(schedule.fail(0), [2, 3, 4]);
        schedule.succeed(1);
        assert_eq!([schedule.next(), schedule.next()], [Some(5), None]);
        assert!(schedule.fail(5).is_empty());
        assert!(schedule.is_done());
    }

    /// spec: evaluate/evaluation R6, evaluate/evaluation R7
    #[test]
    fn what_was_not_handed_out_is_abandoned() {
        let plan = plan(&[&[], &[], &[0]]);
        let mut schedule = whole(&plan);
        assert_eq!(schedule.next(), Some(0));
        assert_eq!(schedule.abandon(), [1, 2]);
        assert_eq!((schedule.next(), schedule.is_done()), (None, false));
        schedule.succeed(0);
        assert!(schedule.is_done() && schedule.abandon().is_empty());
    }

    /// spec: evaluate/evaluation R1
    #[test]
    fn what_is_outside_the_scope_is_not_waited_for() {
        let plan = plan(&[&[], &[0], &[1]]);
        let mut schedule = Schedule::new(&plan, &BTreeSet::from([1, 2]));
        assert_eq!([schedule.next(), schedule.next()], [Some(1), None]);
        assert_eq!(schedule.fail(1), [2]);
        assert!(schedule.is_done());
    }
}
