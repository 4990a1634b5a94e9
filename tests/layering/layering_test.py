"""The include graph of the framework: who may include whom. Run by layering_test.sh; takes the root of the tree.

    base <- wire       <- engine <- stream <- transports
    base <- rendezvous <- stream
    base <- interceptors <- engine

services/ stands on the public headers alone, and nobody includes it. The public headers see only each other, api/ sees them and base/. Transports include nobody's transport but their own. What is
generated, and what users write, sees only nearcall/*.h.
"""

import os
import re
import sys

# Each layer, and the layers that it may include beside itself and the public headers.
MAY_INCLUDE = {
    "runtime/include": set(),
    "runtime/base": set(),
    "runtime/api": {"runtime/base"},
    "runtime/wire": {"runtime/base"},
    "runtime/rendezvous": {"runtime/base"},
    "runtime/interceptors": {"runtime/base"},
    "runtime/engine": {"runtime/base", "runtime/wire", "runtime/interceptors", "protos/nearcall"},
    "runtime/stream": {"runtime/base", "runtime/wire", "runtime/rendezvous", "runtime/engine", "protos/nearcall"},
    # Each folder in it is a layer of its own.
    "runtime/transports": {"runtime/base", "runtime/wire", "runtime/rendezvous", "runtime/engine", "runtime/stream"},
    "runtime/services": {"runtime/base"},
    "codegen": set(),
    "examples": set(),
}
USER_CODE = {"codegen", "examples"}  # also may not see nearcall/internal
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "runtime" and len(parts) > 2:
        return "/".join(parts[:3]) if parts[1] == "transports" else "/".join(parts[:2])
    if parts[0] == "protos":
        return "/".join(parts[:2])
    return parts[0]


def objection(path, included):
    """Why the file at `path` may not include `included`; None if it may."""
    layer = layer_of(path)
    if included.startswith("nearcall/"):
        if layer in USER_CODE and included.startswith("nearcall/internal/"):
            return "what users see ends at nearcall/*.h"
        return "base knows nothing of the framework" if layer == "runtime/base" else None
    other = layer_of(included)
    if other == layer or not included.startswith(("runtime/", "protos/nearcall/", "tests/")):
        return None
    rule = "runtime/transports" if layer.startswith("runtime/transports/") else layer
    if other.startswith("runtime/transports/"):
        return "nobody includes a transport"
    if other not in MAY_INCLUDE.get(rule, set()):
        return "%s may not include %s" % (layer, other)
    return None


def violations(root):
    found = []
    for top in ("runtime", "codegen", "examples"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if not name.endswith((".h", ".cc")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), root)
                with open(os.path.join(root, path), encoding="utf-8") as text:
                    for included in INCLUDE.findall(text.read()):
                        why = objection(path, included)
                        if why:
                            found.append("%s includes %s: %s" % (path, included, why))
    return found


def self_test():
    """The rules, on includes that must and must not be found fault with."""
    bad = [
        ("runtime/base/fd.h", "runtime/engine/reactor.h"),
        ("runtime/base/fd.h", "nearcall/peer.h"),
        ("runtime/wire/wire.h", "runtime/engine/reactor.h"),
        ("runtime/engine/channel.cc", "runtime/stream/dial.h"),
        ("runtime/engine/channel.cc", "runtime/transports/shm/shm_wire.h"),
        ("runtime/rendezvous/connect.cc", "runtime/engine/transport.h"),
        ("runtime/transports/tcp/tcp.cc", "runtime/transports/unix/unix.h"),
        ("runtime/include/nearcall/channel.h", "runtime/base/clock.h"),
        ("runtime/api/method.cc", "runtime/engine/head.h"),
        ("examples/hello/server.cc", "runtime/engine/reactor.h"),
        ("examples/hello/server.cc", "nearcall/internal/method.h"),
        ("runtime/stream/dial.cc", "tests/testing/process.h"),
        ("runtime/services/health.cc", "runtime/engine/server_core.h"),
        ("runtime/interceptors/intercepted_channel.cc", "runtime/engine/channel.h"),
        ("runtime/engine/server.cc", "runtime/services/health.h"),
    ]
    good = [
        ("runtime/engine/reactor.h", "runtime/base/clock.h"),
        ("runtime/stream/dial.cc", "runtime/engine/transport.h"),
        ("runtime/transports/shm/shm_wire.cc", "runtime/transports/shm/segment.h"),
        ("runtime/transports/shm/shm_transport.cc", "runtime/stream/carrier.h"),
        ("runtime/engine/head.cc", "protos/nearcall/protocol.pb.h"),
        ("runtime/services/health.cc", "nearcall/internal/server_extension.h"),
        ("runtime/engine/channel.cc", "runtime/interceptors/intercepted_channel.h"),
        ("examples/hello/server.cc", "nearcall/nearcall.h"),
        ("examples/hello/server.cc", "examples/hello/greeter.h"),
    ]
    wrong = ["not found: %s -> %s" % pair for pair in bad if not objection(*pair)]
    wrong += ["found without reason: %s -> %s" % pair for pair in good if objection(*pair)]
    return wrong


def main():
    root = sys.argv[1]
    faults = self_test() + violations(root)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
