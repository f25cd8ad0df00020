//! The language: syntax, names, types, imports, limits.

use super::codes;

codes! {
    SYNTAX = "E0101" Invalid "the script cannot be read"
"The text is no Rhai: a bracket, a comma, a quote or a word is missing or one too many. The caret stands where reading ended; the
mistake is there or shortly before. Maps are written #{ key: value }, lists [a, b], closures |x| x + 1."

    UNKNOWN_FUNCTION = "E0102" Invalid "a function is not known"
"Neither ksail's library nor the script has a function of this name. The help names the nearest. `ksail doc` lists all functions;
those of std modules want an import: import \"std/policy\" as policy;"

    UNKNOWN_VARIABLE = "E0103" Invalid "a variable is not known"
"A name is used that was never declared with `let`, is declared later, or is out of scope: functions see only their own parameters and
variables, closures see those around them."

    WRONG_ARGUMENTS = "E0104" Invalid "a function was given other arguments than it takes"
"The function is known, but not with these arguments: one is missing, one too many, or one has another type. The help shows how it is
called."

    UNKNOWN_PROPERTY = "E0105" Invalid "a value has no such property"
"Values of ksail are not maps: each has a fixed list of properties, named like the keys of its constructor. The help names the nearest."

    READ_ONLY = "E0106" Invalid "values cannot be changed"
"Clusters, components and the other values of ksail never change, so that a definition means the same wherever it is used. Make a new
one: c.with(#{ workers: 3 }), c.add(cilium()), c.without(\"cilium\")."

    LIMIT = "E0107" Denied "the script went over a limit"
"Scripts are bounded in steps, time, call depth and the size of texts, lists and maps, so that none can hang or exhaust the machine. The
message names the limit. A loop that never ends is the usual cause."

    IMPORT = "E0108" Missing "a module cannot be imported"
"Modules are `std/…`, which is part of ksail, or files below the script's own folder, named relative to the importing file without the
ending .rhai. Paths that lead out of the folder, by `..`, as absolute paths or through links, are refused."

    NO_CLUSTERS = "E0109" Invalid "the script yields no clusters"
"The last expression of a script is its result: a cluster, a list or map of clusters, or a fleet. This script ended with something else.
A semicolon after the last expression throws its value away: leave it out."

    SCRIPT_FAILED = "E0110" Invalid "the script failed"
"The script threw an error or did what cannot be done: an index out of range, a division by zero, a number too large. The caret shows
where, the trace how it came there."

    EFFECT_TOO_EARLY = "E0111" Denied "an effect at definition time"
"A definition is pure: it describes clusters and touches nothing, which is why it can be planned. Effects belong where ksail calls the
script back: in hooks such as `after_create`, in tasks and in tests."

    BAD_MATRIX = "E0112" Invalid "the matrix cannot be expanded"
"An axis is empty or no list, an exclusion names an axis that is not there, or the matrix has too many cells. Axes are lists under names:
matrix(#{ distribution: [k3s(), kwok()], workers: [1, 3] })."

    NO_SUCH_TASK = "E0113" Missing "the script has no such task"
"Tasks are declared with task(name, closure). The help names the nearest, or lists those there are."

    WRONG_RESULT = "E0114" Invalid "a closure returned something else than was wanted"
"ksail called a closure of the script and got a value of another type than it can use: `when` and `exclude` want true or false,
`clusters` wants a cluster. The message says what came back."
}
