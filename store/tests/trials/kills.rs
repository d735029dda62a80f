//! Kill storms: the writer is killed exactly at its n-th rename, link or sync.

use super::writer::{broken, command};

const CALLS: [&str; 2] = ["rename,renameat,renameat2,linkat", "fsync,fdatasync,syncfs"];

/// spec: store/trials R7
#[test]
#[ignore = "needs strace"]
fn a_commit_killed_at_any_rename_or_sync_is_ended_by_the_next() {
    let top = tempfile::tempdir().unwrap();
    let mut killed = 0;
    for calls in CALLS {
        for count in 1..200 {
            let place = top
                .path()
                .join(format!("{}-{count}", calls.replace(',', "-")));
            std::fs::create_dir(&place).unwrap();
            let (store, told) = (place.join("store"), place.join("told"));
            let strace: Vec<String> = [
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={calls}"),
                "-e",
                &format!("inject={calls}:signal=KILL:when={count}"),
            ]
            .map(str::to_owned)
            .to_vec();
            let errand = [
                "3",
                "synced",
                store.to_str().unwrap(),
                told.to_str().unwrap(),
            ];
            let output = command(&strace, &errand).output().unwrap();
            let said = std::fs::read_to_string(&told)
                .unwrap_or_default()
                .lines()
                .count();
            let said = u32::try_from(said).unwrap();
            assert_eq!(
                broken(&store, said),
                Vec::<String>::new(),
                "{calls} {count}"
            );
            if output.status.success() {
                assert_eq!(said, 3);
                break;
            }
            killed += 1;
            let again = command(&["env".to_owned()], &errand).output().unwrap();
            assert!(again.status.success(), "{calls} {count}");
            assert_eq!(broken(&store, 3), Vec::<String>::new(), "{calls} {count}");
            std::fs::remove_dir_all(&place).unwrap();
        }
    }
    assert!(killed > 30, "{killed}");
}
