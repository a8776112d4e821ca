"""Pairs of local time and instant in random zones, as a second opinion on what the service computes.

    zones.py SEED N            N lines `zone,local,utc`: what instant a local time means
    zones.py SEED N reverse    N lines `zone,utc,local`: what the clocks show at an instant
    zones.py --transitions     every change of an offset: `zone,utc,offset in seconds`, the first line of a zone at FIRST
    zones.py --about           the version of the tz database and the zones that are used

The house rule: a local time in a gap moves forward by the gap, one in an overlap means the first. With PEP 495 both
are fold=0. Half of the pairs lie within three hours of a transition of their zone, found by bisection. The tz database
is that of the PyPI package `tzdata`, or the machine's where it is not installed (its version goes to stderr).
"""

import random
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone

UTC = timezone.utc
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2037, 12, 31, tzinfo=UTC)
STEP = timedelta(days=4)  # no two changes of one offset are nearer than this since 1970
NEAR = 3 * 3600

# Not places: `Factory` marks a machine that was never set up, `localtime` and `posixrules` are whatever the machine
# has, posix/ repeats every zone and right/ counts leap seconds, which instants here do not have.
LEFT_OUT = ("Factory", "localtime", "posixrules")
LEFT_OUT_FOLDERS = ("posix/", "right/")


def database():
    """Makes zoneinfo use the package alone; returns the version."""
    try:
        import tzdata
    except ImportError:
        return "the machine's"
    zoneinfo.reset_tzpath(to=[])
    return tzdata.IANA_VERSION


def names():
    usable = (name for name in zoneinfo.available_timezones() if name not in LEFT_OUT)
    return sorted(name for name in usable if not name.startswith(LEFT_OUT_FOLDERS))


def offset(zone, instant):
    return instant.astimezone(zone).utcoffset()


def transitions(zone):
    """Every instant from FIRST to LAST at which the offset changes, with the offsets before and after."""
    found = []
    low, before = FIRST, offset(zone, FIRST)
    while low < LAST:
        high = low + STEP
        if offset(zone, high) != before:
            inside, outside = low, high
            while outside - inside > timedelta(seconds=1):
                middle = inside + timedelta(seconds=(outside - inside) // timedelta(seconds=2))
                if offset(zone, middle) == before:
                    inside = middle
                else:
                    outside = middle
            found.append((outside, before, offset(zone, outside)))
            low, before = outside, offset(zone, outside)
        else:
            low = high
    return found


def pick(rng, changes):
    """A random instant and an offset that is, or near a transition was, in force there."""
    if not changes or rng.random() < 0.5:
        return FIRST + timedelta(seconds=rng.randrange(int((LAST - FIRST).total_seconds()))), None
    at, before, after = rng.choice(changes)
    edge = rng.choice((-1, 0, 1, None))  # a quarter each: the last second, the first, the next, anywhere near
    seconds = rng.randint(-NEAR, NEAR) if edge is None else edge
    return at + timedelta(seconds=seconds), rng.choice((before, after))


def forward(zone, instant, clock):
    """`local,utc`; the clock may stand as it did before the transition, or as it would after: gaps are hit so."""
    local = instant.replace(tzinfo=None) + (clock if clock is not None else offset(zone, instant))
    meant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return f"{local.isoformat()},{meant.replace(tzinfo=None).isoformat()}Z"


def reverse(zone, instant, _clock):
    """`utc,local`"""
    local = instant.astimezone(zone).replace(tzinfo=None, fold=0)
    return f"{instant.replace(tzinfo=None).isoformat()}Z,{local.isoformat()}"


def write_transitions(zones):
    for name in zones:
        zone = zoneinfo.ZoneInfo(name)
        found = [(FIRST, None, offset(zone, FIRST)), *transitions(zone)]
        for at, _, after in found:
            print(f"{name},{at.replace(tzinfo=None).isoformat()}Z,{int(after.total_seconds())}")


def main(arguments):
    version = database()
    zones = names()
    if arguments == ["--about"]:
        print(version, *zones, sep="\n")
        return
    if arguments == ["--transitions"]:
        write_transitions(zones)
        return
    print(f"tz database {version}, {len(zones)} zones", file=sys.stderr)
    seed, count = int(arguments[0]), int(arguments[1])
    write = reverse if arguments[2:] == ["reverse"] else forward
    rng = random.Random(seed)
    changes = {}
    for _ in range(count):
        name = rng.choice(zones)
        zone = zoneinfo.ZoneInfo(name)
        if name not in changes:
            changes[name] = transitions(zone)
        print(f"{name},{write(zone, *pick(rng, changes[name]))}")


main(sys.argv[1:])
