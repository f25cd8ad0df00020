//! Plans and policies.

use super::codes;

codes! {
    DENIED = "E0401" Denied "a policy denies a change"
"The cluster's `policy` ruled against a change that the definition asks for. Nothing of this cluster was touched. Change the
definition back, or change the policy; `ksail plan` shows every change with its ruling."

    WANTS_CONSENT = "E0402" Denied "a change wants consent"
"Some changes destroy data or restart nodes: a recreation, a removal, whatever a policy answers with `confirm(…)`. On a terminal
ksail asks; without one it refuses. Add `--yes` once you have read `ksail plan`."

    DRIFTED = "E0404" Conflict "the plan no longer fits what is there"
"The plan file was made from facts or a definition that have changed since. Nothing was touched. Make a new plan with `ksail plan
FILE --out plan.json`, read it and run that."

    PLAN_VERSION = "E0405" Unsupported "the plan file is of another version"
"Plan files are read by the version of ksail that wrote them. Make a new one with `ksail plan FILE --out plan.json`."

    PLAN_UNREADABLE = "E0406" Invalid "the plan file cannot be read"
"The file is missing, cut off or no plan. Plans are written by `ksail plan FILE --out plan.json` and are not meant to be edited."

    STEP_CYCLE = "E0407" Internal "the steps of a plan wait for each other"
"A step comes after another that comes after it, or after one that is not in the plan. This is a mistake of ksail's own: please
report it with the output of `ksail plan FILE --output json`."

    BAD_RULING = "E0408" Invalid "a policy gave no ruling"
"A policy is a closure that is called with a change and returns `allow()`, `deny(why)`, `confirm(why)` or `defer(window, why)`.
This one returned something else or failed. The message says what."
}
