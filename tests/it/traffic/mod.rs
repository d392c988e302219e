//! Traffic: what callers notice while spinway changes what serves them.
//!
//! The bed is as real as it gets without containers: kube-apiserver, kube-controller-manager and etcd, Traefik as Gateway
//! controller and proxy, and for each pod a server that answers with its image. The kubelet and the Spin operator are stand-ins
//! (`kubelet.rs` and `operator.rs` say in what they differ). All of it lives in a network namespace of its own.

mod api;
mod backend;
mod bed;
mod campaign;
mod causes;
mod cell;
mod children;
mod churn;
mod cover;
mod images;
mod interrupted;
mod kubelet;
mod load;
mod namespace;
mod operator;
mod page;
mod processes;
mod scenarios;
mod second_turns;
mod site;
mod stand_ins;
mod team;
mod traefik;
mod two_writers;

use bed::Bed;
use namespace::within;

#[test]
fn no_request_fails_while_the_repository_changes() {
    within("traffic::no_request_fails_while_the_repository_changes", || {
        let bed = Bed::start();
        campaign::run(&bed);
    });
}

#[test]
fn no_request_fails_while_two_writers_meet() {
    within("traffic::no_request_fails_while_two_writers_meet", || two_writers::run(&Bed::start()));
}

#[test]
fn no_request_fails_when_an_apply_is_killed_or_meets_a_fault() {
    within("traffic::no_request_fails_when_an_apply_is_killed_or_meets_a_fault", || interrupted::run(&Bed::start()));
}

#[test]
fn the_stand_ins_of_the_bed_behave_as_the_real_ones() {
    within("traffic::the_stand_ins_of_the_bed_behave_as_the_real_ones", || stand_ins::check(&Bed::start()));
}

/// Set in the process that the next test starts and kills.
const HOLD: &str = "SPINWAY_TRAFFIC_HOLD";

#[test]
fn no_process_of_the_bed_outlives_tests_that_are_killed() {
    let test = "traffic::no_process_of_the_bed_outlives_tests_that_are_killed";
    if std::env::var_os(HOLD).is_some() {
        within(test, || {
            let bed = Bed::start();
            bed.door(traefik::Lane { throttle: 2, churn: true });
            println!("bed: {}", std::env::temp_dir().display());
            std::thread::sleep(std::time::Duration::from_secs(60));
        });
        return;
    }
    processes::end_with_tests_that_are_killed(test, HOLD);
}
