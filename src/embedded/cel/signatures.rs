//! Which functions there are and what they take.
//!
//! A line is `receiver:name(arguments) result`; a single letter is any type, the same in the whole line. What they do is in
//! `functions`. To add one, add a line here and an arm there.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::types::Type;

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) receiver: bool,
    /// The receiver first, if there is one.
    pub(super) args: Vec<Type>,
    pub(super) result: Type,
}

const TABLE: &str = "
_?_:_(bool, A, A) A
_&&_(bool, bool) bool
_||_(bool, bool) bool
!_(bool) bool
-_(int) int
-_(double) double
_==_(A, A) bool
_!=_(A, A) bool
_+_(int, int) int
_+_(uint, uint) uint
_+_(double, double) double
_+_(string, string) string
_+_(bytes, bytes) bytes
_+_(list<A>, list<A>) list<A>
_+_(timestamp, duration) timestamp
_+_(duration, timestamp) timestamp
_+_(duration, duration) duration
_-_(int, int) int
_-_(uint, uint) uint
_-_(double, double) double
_-_(timestamp, timestamp) duration
_-_(timestamp, duration) timestamp
_-_(duration, duration) duration
_*_(int, int) int
_*_(uint, uint) uint
_*_(double, double) double
_/_(int, int) int
_/_(uint, uint) uint
_/_(double, double) double
_%_(int, int) int
_%_(uint, uint) uint
@in(A, list<A>) bool
@in(A, map<A, B>) bool
_[_](list<A>, int) A
_[_](map<A, B>, A) B
_[_](optional<list<A>>, int) optional<A>
_[_](optional<map<A, B>>, A) optional<B>
_[?_](list<A>, int) optional<A>
_[?_](map<A, B>, A) optional<B>
_[?_](optional<list<A>>, int) optional<A>
_[?_](optional<map<A, B>>, A) optional<B>
size(string) int
size(bytes) int
size(list<A>) int
size(map<A, B>) int
string:size() int
bytes:size() int
list<A>:size() int
map<A, B>:size() int
type(A) type
dyn(A) dyn
bool(bool) bool
bool(string) bool
int(int) int
int(uint) int
int(double) int
int(string) int
int(timestamp) int
uint(uint) uint
uint(int) uint
uint(double) uint
uint(string) uint
double(double) double
double(int) double
double(uint) double
double(string) double
string(string) string
string(bool) string
string(int) string
string(uint) string
string(double) string
string(bytes) string
string(timestamp) string
string(duration) string
string(IP) string
string(CIDR) string
bytes(bytes) bytes
bytes(string) bytes
timestamp(timestamp) timestamp
timestamp(string) timestamp
timestamp(int) timestamp
duration(duration) duration
duration(string) duration
duration(int) duration
timestamp:getFullYear() int
timestamp:getFullYear(string) int
timestamp:getMonth() int
timestamp:getMonth(string) int
timestamp:getDayOfYear() int
timestamp:getDayOfYear(string) int
timestamp:getDayOfMonth() int
timestamp:getDayOfMonth(string) int
timestamp:getDate() int
timestamp:getDate(string) int
timestamp:getDayOfWeek() int
timestamp:getDayOfWeek(string) int
timestamp:getHours() int
timestamp:getHours(string) int
timestamp:getMinutes() int
timestamp:getMinutes(string) int
timestamp:getSeconds() int
timestamp:getSeconds(string) int
timestamp:getMilliseconds() int
timestamp:getMilliseconds(string) int
duration:getHours() int
duration:getMinutes() int
duration:getSeconds() int
duration:getMilliseconds() int
string:startsWith(string) bool
string:endsWith(string) bool
string:contains(string) bool
string:matches(string) bool
matches(string, string) bool
string:charAt(int) string
string:indexOf(string) int
string:indexOf(string, int) int
string:lastIndexOf(string) int
string:lastIndexOf(string, int) int
string:lowerAscii() string
string:upperAscii() string
string:replace(string, string) string
string:replace(string, string, int) string
string:split(string) list<string>
string:split(string, int) list<string>
string:substring(int) string
string:substring(int, int) string
string:trim() string
string:format(list<dyn>) string
strings.quote(string) string
list<string>:join() string
list<string>:join(string) string
string:find(string) string
string:findAll(string) list<string>
string:findAll(string, int) list<string>
list<A>:isSorted() bool
list<A>:sum() A
list<A>:min() A
list<A>:max() A
list<A>:indexOf(A) int
list<A>:lastIndexOf(A) int
list<A>:slice(int, int) list<A>
list<A>:flatten() list<dyn>
list<A>:flatten(int) list<dyn>
list<A>:distinct() list<A>
list<A>:reverse() list<A>
list<A>:sort() list<A>
list<A>:first() optional<A>
list<A>:last() optional<A>
lists.range(int) list<int>
sets.contains(list<A>, list<A>) bool
sets.equivalent(list<A>, list<A>) bool
sets.intersects(list<A>, list<A>) bool
optional.of(A) optional<A>
optional.ofNonZeroValue(A) optional<A>
optional.none() optional<A>
optional<A>:hasValue() bool
optional<A>:value() A
optional<A>:or(optional<A>) optional<A>
optional<A>:orValue(A) A
quantity(string) Quantity
isQuantity(string) bool
Quantity:sign() int
Quantity:isInteger() bool
Quantity:asInteger() int
Quantity:asApproximateFloat() double
Quantity:add(Quantity) Quantity
Quantity:add(int) Quantity
Quantity:sub(Quantity) Quantity
Quantity:sub(int) Quantity
Quantity:isLessThan(Quantity) bool
Quantity:isGreaterThan(Quantity) bool
Quantity:compareTo(Quantity) int
url(string) URL
isURL(string) bool
URL:getScheme() string
URL:getHost() string
URL:getHostname() string
URL:getPort() string
URL:getEscapedPath() string
URL:getQuery() map<string, list<string>>
ip(string) IP
isIP(string) bool
ip.isCanonical(string) bool
IP:family() int
IP:isUnspecified() bool
IP:isLoopback() bool
IP:isLinkLocalMulticast() bool
IP:isLinkLocalUnicast() bool
IP:isGlobalUnicast() bool
cidr(string) CIDR
isCIDR(string) bool
CIDR:ip() IP
CIDR:prefixLength() int
CIDR:masked() CIDR
CIDR:containsIP(string) bool
CIDR:containsIP(IP) bool
CIDR:containsCIDR(string) bool
CIDR:containsCIDR(CIDR) bool
format.named(string) optional<Format>
format.dns1123Label() Format
format.dns1123Subdomain() Format
format.dns1035Label() Format
format.dns1123LabelPrefix() Format
format.dns1123SubdomainPrefix() Format
format.dns1035LabelPrefix() Format
format.qualifiedName() Format
format.labelValue() Format
format.uri() Format
format.uuid() Format
format.byte() Format
format.date() Format
format.datetime() Format
Format:validate(string) optional<list<string>>
semver(string) Semver
semver(string, bool) Semver
isSemver(string) bool
isSemver(string, bool) bool
Semver:major() int
Semver:minor() int
Semver:patch() int
Semver:isLessThan(Semver) bool
Semver:isGreaterThan(Semver) bool
Semver:compareTo(Semver) int
Authorizer:path(string) PathCheck
Authorizer:group(string) GroupCheck
Authorizer:serviceAccount(string, string) Authorizer
GroupCheck:resource(string) ResourceCheck
ResourceCheck:subresource(string) ResourceCheck
ResourceCheck:namespace(string) ResourceCheck
ResourceCheck:name(string) ResourceCheck
ResourceCheck:fieldSelector(string) ResourceCheck
ResourceCheck:labelSelector(string) ResourceCheck
ResourceCheck:check(string) Decision
PathCheck:check(string) Decision
Decision:allowed() bool
Decision:errored() bool
Decision:error() string
Decision:reason() string
";

/// The ways to call a function; `None` if there is no such function.
pub(super) fn of(name: &str) -> Option<&'static [Signature]> {
    static READ: OnceLock<HashMap<&'static str, Vec<Signature>>> = OnceLock::new();
    READ.get_or_init(read).get(name).map(Vec::as_slice)
}

fn read() -> HashMap<&'static str, Vec<Signature>> {
    let mut all: HashMap<&'static str, Vec<Signature>> = HashMap::new();
    for line in TABLE.lines() {
        if let Some((name, signature)) = read_line(line) {
            all.entry(name).or_default().push(signature);
        }
    }
    let ordered = ["int", "uint", "double"];
    let same = ["bool", "string", "bytes", "timestamp", "duration"].map(|name| (name, name));
    let mixed = ordered
        .iter()
        .flat_map(|a| ordered.iter().map(|b| (*a, *b)));
    let pairs: Vec<(&str, &str)> = mixed.chain(same).collect();
    for name in ["_<_", "_<=_", "_>_", "_>=_"] {
        for (a, b) in &pairs {
            all.entry(name).or_default().push(Signature {
                receiver: false,
                args: vec![read_type(a), read_type(b)],
                result: Type::Bool,
            });
        }
    }
    all
}

fn read_line(line: &'static str) -> Option<(&'static str, Signature)> {
    let open = line.find('(')?;
    let (head, rest) = line.split_at(open);
    let close = rest.rfind(')')?;
    let inside = rest.get(1..close)?;
    let result = read_type(rest.get(close + 1..)?);
    let mut args = Vec::new();
    let (receiver, name) = match head.rsplit_once(':') {
        Some((receiver, name)) if !head.starts_with('_') => {
            args.push(read_type(receiver));
            (true, name)
        }
        _ => (false, head),
    };
    args.extend(split(inside).into_iter().map(read_type));
    let signature = Signature {
        receiver,
        args,
        result,
    };
    Some((name, signature))
}

/// Splits at commas that are not inside of `<…>`.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..).filter(|rest| !rest.trim().is_empty()));
    parts
}

fn read_type(text: &str) -> Type {
    let text = text.trim();
    let inside = |name: &str| text.strip_prefix(name)?.strip_suffix('>');
    if let Some(of) = inside("list<") {
        return Type::list(read_type(of));
    }
    if let Some(of) = inside("optional<") {
        return Type::optional(read_type(of));
    }
    if let Some(of) = inside("map<") {
        let mut parts = split(of).into_iter().map(read_type);
        let key = parts.next().unwrap_or(Type::Dyn);
        return Type::map(key, parts.next().unwrap_or(Type::Dyn));
    }
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Type::Param(letter),
        _ => match text {
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            other => super::types::OPAQUE
                .iter()
                .find(|(short, _)| *short == other)
                .map_or_else(
                    || Type::named(other).unwrap_or(Type::Dyn),
                    |(_, full)| Type::Opaque(full),
                ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLE, Type, of, read_line};

    #[test]
    fn every_line_is_read() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            assert!(read_line(line).is_some(), "{line}");
        }
        let ways = of("indexOf").unwrap();
        assert_eq!(ways.len(), 3);
        assert!(ways[0].receiver);
        assert_eq!(of("_?_:_").unwrap()[0].args[0], Type::Bool);
        assert_eq!(
            of("quantity").unwrap()[0].result.to_string(),
            "kubernetes.Quantity"
        );
    }
}
