//! Parameters, environment, files.

use super::codes;

codes! {
    UNKNOWN_PARAM = "E0301" Usage "the script has no such parameter"
"A value was given with `--set` for a parameter that the script does not declare with param(name, default, …). `ksail run FILE --help`
lists those it does."

    BAD_PARAM = "E0302" Invalid "a parameter's value is not allowed"
"The value has another type than the parameter's default, or lies outside the limits or choices that the script declares. `ksail run
FILE --help` shows them."

    ENV_NOT_ALLOWED = "E0303" Denied "an environment variable may not be read"
"Scripts see only the variables that they may: CI and those that begin with KSAIL_, and whatever is named with `--allow-env NAME`. A
definition that depended on the whole environment would mean something else on every machine."

    FILE_OUTSIDE = "E0304" Denied "a file lies outside the script's folder"
"Scripts read files below their own folder only; absolute paths, `..` and links that lead out are refused. Put the file below the
script, or widen the folder with `--allow-read DIR`."

    FILE_UNREADABLE = "E0305" Missing "a file cannot be read"
"The file is not there, is no text, is too large, or does not have the form that was asked for. The message names it and the cause."

    DUPLICATE_PARAM = "E0306" Invalid "a parameter is declared twice in different ways"
"Two calls of param(…) have one name and another default. A parameter has one meaning; declare it once and pass the value on."
}
