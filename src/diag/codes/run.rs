//! Runs: steps, waits, cancelling.

use super::codes;

codes! {
    STEP_FAILED = "E0501" Unavailable "a step of the plan failed"
"One step could not be carried out; the cause is in the message. Steps that did not depend on it were finished. A cluster that this
run began to make is taken back, unless `--keep` was given. Every step can be done again: mend the cause and run again."

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
}
