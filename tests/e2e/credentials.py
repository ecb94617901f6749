# SPDX-License-Identifier: BSD-3-Clause
"""A client's side of Digest authentication (RFC 7616): what it answers to a challenge."""
import hashlib
import re
import secrets

ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


def challenge(message, algorithm="MD5"):
    """The parameters of a 401's or 407's challenge with that algorithm."""
    for value in message.all("www-authenticate") + message.all("proxy-authenticate"):
        assert value.startswith("Digest "), value
        params = {k.lower(): quoted or plain for k, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', value)}
        if params.get("algorithm", "MD5") == algorithm:
            return params
    raise AssertionError(f"no challenge with {algorithm} in\n{message}")


def answer(message, method, uri, user, password, nc=1, algorithm="MD5", hashed_realm=None, **change):
    """The header line that answers the challenge of `message`. `change` replaces parameters afterwards."""
    c = challenge(message, algorithm)

    def h(text):
        return hashlib.new(ALGORITHMS[algorithm], text.encode()).hexdigest()

    cnonce = secrets.token_hex(8)
    a1, a2 = h(f"{user}:{hashed_realm or c['realm']}:{password}"), h(f"{method}:{uri}")
    p = {"username": user, "realm": c["realm"], "nonce": c["nonce"], "uri": uri, "algorithm": algorithm}
    if "qop" in c:
        p |= {"qop": "auth", "nc": f"{nc:08x}", "cnonce": cnonce}
        p["response"] = h(f"{a1}:{c['nonce']}:{p['nc']}:{cnonce}:auth:{a2}")
    else:
        p["response"] = h(f"{a1}:{c['nonce']}:{a2}")
    if "opaque" in c:
        p["opaque"] = c["opaque"]
    p |= change
    bare = ("algorithm", "qop", "nc", "stale")
    text = ", ".join(f"{k}={v}" if k in bare else f'{k}="{v}"' for k, v in p.items())
    name = "Authorization" if message.status == 401 else "Proxy-Authorization"
    return f"{name}: Digest {text}"
