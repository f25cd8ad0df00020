//! State on disk, kubeconfig.

use super::codes;

codes! {
    BROKEN_STATE = "E0601" Invalid "a file of ksail's own state cannot be read"
"A file below ksail's state folder does not have the form that this version writes. It may have been edited by hand, cut off
by a full disk, or written by another version. The file is left as it is; the message names it. Move it away to start
afresh, or delete the cluster it belongs to with `ksail cluster delete NAME`."

    STATE_UNWRITABLE = "E0602" Unavailable "ksail's state folder cannot be written"
"ksail keeps what it must remember below `~/.ksail`, or below the folder that the variable KSAIL_HOME names. A file there could not be
written. Check the folder's owner, its mode and the free space; the cause is in the message."

    CLUSTER_BUSY = "E0603" Conflict "another run works on the cluster"
"Two runs never work on one cluster at once. The message names the other process. Wait for it to end, or end it; its lock goes with
it."

    BROKEN_KUBECONFIG = "E0604" Invalid "a kubeconfig cannot be read"
"The file is no kubeconfig: it is cut off, is no YAML, or has lists where none belong. ksail never writes over a file that it could not
read, so it was left as it is. Mend it, or move it away and run again."

    KUBECONFIG_UNWRITABLE = "E0605" Unavailable "a kubeconfig cannot be written"
"The new text could not be put in place of the old, which is still there. Check the folder's owner, its mode and the free space; the
cause is in the message."

    KUBECONFIG_LOCKED = "E0606" Timeout "a kubeconfig stays locked"
"Another program holds the lock beside the kubeconfig, a file that ends in `.lock`. kubectl leaves it behind if it is killed while it
writes. Make sure that none is writing and remove the lock file."

    NO_CONTEXT = "E0607" Missing "the kubeconfig has no such context"
"The context is not in any file of the kubeconfig. `ksail cluster list` shows the clusters, `kubectl config get-contexts` the
contexts."

    NO_REAPER = "E0608" Unavailable "no process can be started that removes clusters when their time has come"
"A cluster with a time to live is removed by a process that ksail starts beside it and that outlives the run. It could not be
started, or ended at once. Its log is the file `reaper.log` in ksail's state folder; the cause is in the message. Without it
the cluster stays until `ksail cluster delete NAME`."
}
