//! The model: values, combinations, names.

use super::codes;

codes! {
    BAD_VALUE = "E0201" Invalid "a value is outside what is allowed"
"The value has the right type but is not one of those that make sense here: a number outside its limits, a text that is no
version, duration, address range or registry, or a name that is not on the list. The message says what was given, the help
what is allowed. `ksail doc` has the limits of every option."

    WRONG_TYPE = "E0202" Invalid "a value has the wrong type"
"An option or argument was given a value of another kind than it takes, such as a text where a number belongs. The message
names both. Write numbers without quotes, texts with them, lists as [a, b] and maps as #{ key: value }."

    UNKNOWN_KEY = "E0203" Invalid "an option is not known"
"A map has a key that the function it is given to does not take. ksail never ignores a key, because a misspelt option would
then silently have no effect. The help names the nearest known key, or lists them all."

    MISSING_KEY = "E0204" Invalid "a required option is missing"
"A map lacks a key that has no default. Add it; the help shows one that works."

    NOT_ON_PROVIDER = "E0205" Unsupported "this distribution does not run on this provider"
"Not every distribution runs everywhere: `ksail support` shows the table. Choose one of the providers that the help lists, or
another distribution."

    SLOT_TAKEN = "E0206" Invalid "two components want the same role"
"A cluster has one pod network, one GitOps engine, one policy engine and so on. Two components were given that fill the same
role; remove one of them, or choose with `when(…)`."

    BAD_NAME = "E0207" Invalid "a name breaks the rules for names"
"Cluster names have 1 to 63 characters: lower-case letters, digits and hyphens, beginning with a letter and not ending with a
hyphen. They become part of host names, contexts and container names, which is where the rule comes from."

    DUPLICATE_CLUSTER = "E0208" Invalid "two clusters have one name"
"Every cluster of a fleet has a name of its own. Both places are shown. In a matrix, put `cell.id` into the name."

    CONTRADICTION = "E0209" Invalid "two options exclude each other"
"The options are right on their own but cannot hold together. The message says which and why; the help says which one to drop."

    NOT_ON_DISTRIBUTION = "E0210" Unsupported "this component cannot be had on this distribution"
"The component does not work on this distribution or provider: `ksail support` shows the table. The help names components for
the same role that do."

    NOT_THERE_YET = "E0211" Unsupported "this part of ksail is not there yet"
"The definition is valid and its plan is right, but this version of ksail cannot carry it out. Nothing was touched. `ksail run
--simulate` runs the same definition on the embedded provider."
}
