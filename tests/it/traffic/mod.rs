//! Traffic: what callers notice while spinway changes what serves them.
//!
//! The bed is as real as it gets without containers: kube-apiserver, kube-controller-manager and etcd, Traefik as Gateway
//! controller and proxy, and for each pod a server that answers with its image. The kubelet and the Spin operator are stand-ins
//! (`kubelet.rs` and `operator.rs` say in what they differ). All of it lives in a network namespace of its own.

mod api;
mod backend;
mod bed;
mod campaign;
mod cell;
mod children;
mod churn;
mod cover;
mod images;
mod kubelet;
mod load;
mod namespace;
mod operator;
mod page;
mod scenarios;
mod team;
mod traefik;

use bed::Bed;
use namespace::within;

#[test]
fn no_request_fails_while_the_repository_changes() {
    within("traffic::no_request_fails_while_the_repository_changes", || {
        let bed = Bed::start();
        campaign::run(&bed);
    });
}
