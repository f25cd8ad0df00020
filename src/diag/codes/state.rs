//! State on disk, kubeconfig.

use super::codes;

codes! {
    BROKEN_STATE = "E0601" Invalid "a file of ksail's own state cannot be read"
"A file below ksail's state folder does not have the form that this version writes. It may have been edited by hand, cut off
by a full disk, or written by another version. The file is left as it is; the message names it. Move it away to start
afresh, or delete the cluster it belongs to with `ksail cluster delete NAME`."
}
