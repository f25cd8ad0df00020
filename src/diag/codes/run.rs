//! Runs: steps, waits, cancelling.

use super::codes;

codes! {
    CANCELLED = "E0502" Cancelled "the run was cancelled"
"Ctrl-C was pressed. The steps that had begun were finished or stopped; what is left is named. Run again to continue."

    NO_PROGRESS = "E0503" Timeout "a wait made no progress"
"ksail waited for a condition and saw nothing change for a long time. The message says what it waited for and what it last saw. Look
at the cluster with kubectl, mend what holds it up and run again."

    API_FAILED = "E0504" Unavailable "the cluster's API did not do what was asked"
"A request to the Kubernetes API failed. The cause carries the server's own words. A refused connection means that the control plane
does not run: `ksail cluster info NAME` tells, `ksail cluster start NAME` starts it."

    HOOK_FAILED = "E0505" Invalid "a hook of the script failed"
"The script asked to be called back at this moment and its closure failed. The place in the script and the cause are shown. The steps
that come after it were not done; run again once it is mended."

    NO_SUCH_CLUSTER = "E0506" Missing "there is no such cluster"
"No cluster of this name is on any provider that can be looked at. `ksail cluster list` shows those that are. The help names the
nearest one."

    AMBIGUOUS_CLUSTER = "E0507" Conflict "several clusters have this name"
"Clusters on different providers may have one name. Name the context instead, as `ksail cluster list` shows it, or add
`--provider`."

    NO_SUCH_KIND = "E0508" Missing "the cluster serves no such kind"
"A reference such as `deployment/web`, or the `kind` of an object, names a kind of object that this cluster does not have. Custom kinds
are served once their CustomResourceDefinition is applied. `kubectl api-resources` lists all."

    NO_SUCH_OBJECT = "E0509" Missing "the cluster has no such object"
"The object that was asked for is not in the cluster, or is in another namespace: give it as the second argument,
`c.get(\"pod/web\", \"shop\")`. `c.find` gives `()` in place of this problem."

    BAD_OBJECT = "E0510" Invalid "this is no Kubernetes object, or no reference to one"
"An object is a map with `apiVersion`, `kind` and `metadata.name`. A reference is a text KIND/NAME such as `deployment/web` or `pod/web-0`,
with the kind by any name that kubectl knows; lists want the kind alone."

    WAIT_OVER = "E0511" Timeout "a wait of the script ran out of time"
"What the script waited for did not come about in the time that it gave. The message says what was last seen. Give more time, or
look at the object with `kubectl describe`."

    NOT_RUNNING = "E0512" Missing "the cluster does not run"
"A script wanted something of a cluster that is not there or is switched off. `up(c)` brings it up; hooks are called with their own
cluster, which runs."

    UNEXPECTED = "E0513" Invalid "an expectation does not hold"
"A test compared a value with what it expects, and they differ. Both are shown. The place is that of the expectation."

    TEST_FAILED = "E0514" Invalid "tests failed"
"At least one test of the suite failed; each tells its own problem above. `ksail test FILE --only NAME` runs one of them alone."
}
