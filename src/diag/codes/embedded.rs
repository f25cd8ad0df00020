//! The embedded control plane: its keys, its home folder, its log, its process.

use super::codes;

codes! {
    BAD_KEY = "E0701" Invalid "a private key cannot be read"
"A key of the embedded cluster is not a PKCS#8 key in PEM form. The file may have been cut off or edited. ksail never writes
over it; move it away and create the cluster again, or put the original file back."

    BAD_CERTIFICATE = "E0702" Invalid "a certificate cannot be made or read"
"A certificate of the embedded cluster cannot be read, or one cannot be signed, for example because a name in it is not an
ASCII host name. The message says which. Put the original file back, or delete the cluster and create it again."

    BROKEN_HOME = "E0703" Invalid "the folder of an embedded cluster is damaged"
"Each embedded cluster keeps its configuration, keys and write log in a folder of its own. A file there is missing or does
not have the form that this version writes; the message names it. The folder is left as it is. Put the file back from a
backup, or delete the cluster with `ksail cluster delete NAME` and create it again."

    HOME_EXISTS = "E0704" Conflict "an embedded cluster's folder is there already"
"A new embedded cluster needs an empty folder of its own. Something is in it already, so nothing was written. Delete the
cluster that owns the folder, or choose another name."

    BROKEN_LOG = "E0705" Invalid "the write log of an embedded cluster is damaged"
"Every acknowledged write is a record in the log below the cluster's folder. A record in the middle does not match its own
checksum, so what comes after it cannot be trusted. A record that is merely cut off at the very end is dropped with a note,
because it was never acknowledged; this is something else, such as a failing disk or an edited file. The log is left as it
is. Restore the folder from a snapshot, or delete the cluster and create it again."

    LOG_UNWRITABLE = "E0706" Unavailable "the write log of an embedded cluster cannot be written"
"A write is acknowledged only once it is in the log. The log could not be written, for example because the disk is full or
the folder is read-only. Make room or give access, then start the cluster again."

    ALREADY_RUNNING = "E0707" Conflict "the embedded cluster runs already"
"Only one process may serve an embedded cluster's folder; it holds a lock on it for as long as it runs. Use the running one,
or stop it first with `ksail cluster stop NAME`."

    NOT_STARTED = "E0708" Unavailable "the embedded cluster did not start"
"The process that serves the cluster ended before it was ready. The end of its own log is shown; the whole of it is in
`server.log` in the cluster's folder."

    PORT_TAKEN = "E0709" Unavailable "the embedded cluster's port cannot be opened"
"The cluster listens on a fixed port of the loopback address so that kubeconfigs stay valid. Another program uses that port
now, or opening ports is forbidden here. Stop the other program, or delete the cluster and create it again."

    NOT_STOPPED = "E0710" Timeout "the embedded cluster did not stop"
"The process that serves the cluster was asked to end but still holds its folder. It may be busy or suspended. Try again, or
end the process whose number the message names."

    BAD_AUDIT_POLICY = "E0711" Invalid "an audit policy cannot be used"
"The option `audit` of an embedded cluster says what its API server writes down of requests: the name of a level, or a Policy
of audit.k8s.io/v1 with rules. What was given is neither, or names a field or a level that such policies do not have."
}
