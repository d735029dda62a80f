//! The health gate: `spec/deploy/health.md`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: answers on a socket of this machine"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use stagecraft::config::HealthCheck;
use stagecraft::evaluate::Cause;

use super::{End, Site, link, release};

/// A server that gives the answers in turn, the last one for ever; it ends with the test's process.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn answering(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (
            listener.local_addr().unwrap(),
            Arc::new(AtomicUsize::new(0)),
        );
        let counter = Arc::clone(&asked);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut request = [0; 1024];
                let count = connection.read(&mut request).unwrap_or(0);
                assert!(count == 0 || request.starts_with(b"GET /up HTTP/1.1\r\nHost: 127.0.0.1:"));
                let index = counter
                    .fetch_add(1, Ordering::SeqCst)
                    .min(answers.len() - 1);
                connection.write_all(answers[index].as_bytes()).ok();
            }
        });
        Self { address, asked }
    }

    fn check(&self) -> HealthCheck {
        HealthCheck::Http(format!("http://{}/up", self.address))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 503 Service Unavailable\r\n\r\n";

/// spec: deploy/health R1, deploy/health R4
#[test]
fn enough_good_answers_in_a_row_pass() {
    let server = Server::answering(&[BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, BAD]);
    let mut site = Site::new("one");
    site.check_with(server.check(), 3, 60_000);
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(server.asked(), 7);
    assert_eq!(
        fs::read_link(site.path(".good")).unwrap().to_str(),
        Some(link(1).as_str())
    );
}

/// spec: deploy/health R3
#[test]
fn a_failing_gate_goes_back_and_tells_again() {
    let server = Server::answering(&[GOOD, BAD]);
    let mut site = Site::new("one");
    site.activate_with("cat deploy/current/site/index.html >> told");
    site.check_with(server.check(), 1, 200);
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    let expected = format!(
        "health check `GET http://{}/up` did not hold within 0.2 s; last answer: status 503 Service Unavailable\n\
        `current` points back to {}",
        server.address,
        release(1)
    );
    assert_eq!(
        site.deploy(&release(2)),
        End::Failed(Cause::Reverted, expected)
    );
    assert_eq!(site.current(), Some(link(1)));
    assert_eq!(
        fs::read_to_string(site.project().join("told")).unwrap(),
        "onetwoone"
    );
}

/// spec: deploy/health R3
#[test]
fn a_first_deploy_whose_gate_fails_leaves_nothing_live() {
    let mut site = Site::new("one");
    site.check_with(HealthCheck::Http("https://127.0.0.1/".to_owned()), 2, 50);
    let expected = "health check `GET https://127.0.0.1/` did not hold within 0.05 s (0 of 2 in a row); \
        last answer: https is not supported; ask the server behind the proxy by http\n\
        `current` is removed, for nothing passed before";
    assert_eq!(
        site.deploy(&release(1)),
        End::Failed(Cause::Reverted, expected.to_owned())
    );
    assert_eq!(site.current(), None);
}

/// spec: deploy/health R3
#[test]
fn a_way_back_that_fails_is_said() {
    let server = Server::answering(&[GOOD, BAD]);
    let mut site = Site::new("one");
    site.check_with(server.check(), 1, 50);
    assert_eq!(site.deploy(&release(1)), End::Done);
    fs::remove_dir_all(site.path("releases").join(release(1))).unwrap();
    site.serve("site", &[("index.html", "two")]);
    let End::Failed(Cause::NotReverted, message) = site.deploy(&release(2)) else {
        panic!("nothing to go back to")
    };
    assert!(
        message.ends_with("is no longer whole on the target: its record is gone"),
        "{message}"
    );
}

/// spec: deploy/health R9
#[test]
fn a_converged_rollout_is_still_checked() {
    let server = Server::answering(&[GOOD, GOOD, BAD]);
    let mut site = Site::new("one");
    site.check_with(server.check(), 1, 100);
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(site.deploy(&release(2)), End::Converged);
    assert_eq!(server.asked(), 2);
    assert!(matches!(
        site.deploy(&release(3)),
        End::Failed(Cause::Reverted, _)
    ));
    assert_eq!(site.current(), Some(link(2)));
}

/// spec: deploy/health R5
#[test]
fn tcp_wants_an_accepted_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut site = Site::new("one");
    site.check_with(HealthCheck::Tcp(address.clone()), 2, 200);
    assert_eq!(site.deploy(&release(1)), End::Done);
    drop(listener);
    let End::Failed(Cause::Reverted, message) = site.deploy(&release(2)) else {
        panic!("nobody listens")
    };
    let expected = format!(
        "health check `tcp {address}` did not hold within 0.2 s (0 of 2 in a row); last answer: Connection refused"
    );
    assert!(message.starts_with(&expected), "{message}");
}

/// spec: deploy/health R6
#[test]
fn exec_wants_success_and_is_killed_at_the_deadline() {
    let mut site = Site::new("one");
    let exec = |script: &str| HealthCheck::Exec(["sh", "-c", script].map(str::to_owned).to_vec());
    let passing = "echo $STAGECRAFT_RELEASE; test -e deploy/current/site/index.html";
    site.check_with(exec(passing), 1, 60_000);
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(site.read("health.log"), format!("{}\n", release(1)));
    for (script, answer) in [
        ("echo cold >&2; exit 7", "exited with status 7:\ncold"),
        ("sleep 600", "was stopped at its deadline"),
    ] {
        site.check_with(exec(script), 1, 100);
        let End::Failed(Cause::Reverted, message) = site.deploy(&release(2)) else {
            panic!("must fail")
        };
        let expected = format!(
            "health check `sh -c {script}` did not hold within 0.1 s; last answer: {answer}\n`current` points back to {}",
            release(1)
        );
        assert_eq!(message, expected);
    }
}

/// spec: deploy/health R7
#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    // Connections wait in the backlog; nobody accepts them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/up", listener.local_addr().unwrap());
    let mut site = Site::new("one");
    site.check_with(HealthCheck::Http(url), 1, 100);
    let End::Failed(Cause::Reverted, message) = site.deploy(&release(1)) else {
        panic!("nobody answers")
    };
    assert!(
        message.contains("last answer: no answer in time"),
        "{message}"
    );
}

/// spec: deploy/health R8
#[test]
fn a_cancellation_ends_the_wait_and_goes_back() {
    let server = Server::answering(&[GOOD, BAD]);
    let mut site = Site::new("one");
    site.check_with(server.check(), 1, 600_000);
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.health.as_mut().unwrap().interval = std::time::Duration::from_secs(600);
    site.serve("site", &[("index.html", "two")]);
    let end = thread::scope(|scope| {
        scope.spawn(|| {
            while server.asked() < 2 {
                thread::yield_now();
            }
            site.cancel.cancel();
        });
        site.deploy(&release(2))
    });
    assert_eq!(end, End::Cancelled);
    assert_eq!(site.current(), Some(link(1)));
}
