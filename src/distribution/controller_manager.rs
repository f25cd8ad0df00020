//! What a controller manager is told, the same for every distribution that runs a real one with an account per controller.

/// How many requests it may make per second, and at once, as arguments without their dashes.
///
/// Before its first controller starts it makes an account and a token for each of them, about 120 requests. With its
/// defaults of 20 and 30 that takes five seconds, in which no node is given the addresses of its pods and none is Ready.
/// Source of the defaults: `kube-controller-manager --help`, `--kube-api-qps` and `--kube-api-burst`.
pub(super) const REQUESTS: [(&str, &str); 2] = [("kube-api-qps", "100"), ("kube-api-burst", "200")];
