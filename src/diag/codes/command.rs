//! The command line.

use super::codes;

codes! {
    NO_SUCH_CODE = "E1001" Usage "there is no such code"
"Codes have the form E0102. `ksail explain` without a code lists them all."

    NO_RUNTIME = "E1002" Internal "the program cannot start its threads"
"The operating system refused ksail the threads it works with. The cause is in the message; limits on processes or memory are usual."

    CANNOT_WRITE = "E1003" Unavailable "a file that was asked for cannot be written"
"A command was told to write a file and could not. Check the folder, its owner and the free space; the cause is in the message."

    NO_FUNCTION = "E1004" Usage "there is nothing of this name in the reference"
"`ksail doc` lists every function, `ksail doc NAME` shows one."
}
